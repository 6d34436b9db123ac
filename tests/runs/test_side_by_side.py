"""Real runs whose trials are trained side by side: what is recorded, what it costs, and what faults do to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

import tune_kd
from tune_kd import events
from tune_kd.errors import Interrupted
from tune_kd.progress.base import Progress
from tune_kd.store import Store

pytestmark = pytest.mark.slow

EPOCHS, TRIALS = 4, 6
SMALL = {"recipe.epochs": EPOCHS, "teacher_recipe.epochs": 1}
GRID: dict[str, Any] = {"policy": "grid", "budget": f"{TRIALS}trials", "settings": SMALL, "max_concurrent": 1}


class Said(Progress):
    """Keeps the notes; at the n-th report it kills the training worker, or interrupts."""

    def __init__(self, at: int | None = None, *, kills: bool = True) -> None:
        self.notes: list[str] = []
        self._left, self._kills = at, kills

    def note(self, text: str) -> None:
        self.notes.append(text)

    def event(self, event: events.Event) -> None:
        if self._left is None or not isinstance(event, events.EpochReport):
            return
        self._left -= 1
        if self._left == 0 and not self._kills:
            raise KeyboardInterrupt
        if self._left == 0:
            workers = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("ray::ImplicitFunc")]
            for worker in workers:
                worker.kill()


def reached(store: Store) -> pd.DataFrame:
    """What each trial came to in its last attempt."""
    last = store.trials().sort_values("attempt").groupby("index").last()
    return last[["params_json", "seed", "status", "val_score", "val_loss", "test_score"]]


@pytest.fixture(scope="module")
def alone(ray_running, cache, tmp_path_factory) -> Store:
    return tune_kd.run(**GRID, store=tmp_path_factory.mktemp("alone") / "runs", cache=cache).store


@pytest.fixture(scope="module")
def beside(ray_running, cache, tmp_path_factory) -> Store:
    place = tmp_path_factory.mktemp("beside") / "runs"
    return tune_kd.run(**GRID, side_by_side=4, store=place, cache=cache).store


def test_every_student_is_a_trial_of_its_own(beside: Store) -> None:
    trials, reports, run = beside.trials(), beside.reports(), beside.runs().iloc[0]
    assert (run.status, run.spent, len(trials)) == ("completed", TRIALS, TRIALS)
    assert sorted(trials.side_by_side) == [2, 2, 4, 4, 4, 4]
    assert set(trials.status) == {"completed"}
    assert trials.tau.is_unique
    assert trials.seed.is_unique
    assert trials.test_score.notna().all()
    assert (trials.epochs == EPOCHS).all()
    assert (reports.groupby("trial_id").epoch.apply(list).map(lambda each: each == [1, 2, 3, 4])).all()
    assert (reports.tau_mean == reports.trial_id.map(trials.set_index("trial_id").tau)).all()


def test_they_come_to_what_they_come_to_alone(alone: Store, beside: Store) -> None:
    one, other = reached(alone), reached(beside)
    assert one.params_json.tolist() == other.params_json.tolist()
    assert one.seed.tolist() == other.seed.tolist()
    first = [store.reports().query("epoch == 1").sort_values("trial_id").train_loss for store in (alone, beside)]
    assert first[1].to_numpy() == pytest.approx(first[0].to_numpy(), rel=1e-3)
    assert (alone.trials().side_by_side == 1).all()


def test_flops_are_those_of_separate_trials_and_joules_add_up_to_the_nodes(alone: Store, beside: Store) -> None:
    flops = [store.trials().sort_values("index").flops_executed.tolist() for store in (alone, beside)]
    assert flops[0] == flops[1]
    trials, [node] = beside.trials(), beside.nodes().to_dict("records")
    assert abs(node["energy_residual_j"]) < 1e-6
    tested = trials.energy_test_j.sum()
    shared = beside.runs().shared_energy_j.item()
    assert trials.energy_j.sum() + tested + shared == pytest.approx(node["energy_trials_j"], rel=0.02)
    of_four = trials[trials.side_by_side == 4]
    assert np.ptp(of_four.energy_j) <= 1e-9 * of_four.energy_j.max()


def test_a_killed_worker_costs_each_member_an_attempt_and_changes_no_result(beside: Store, cache, tmp_path) -> None:
    progress = Said(at=6)  # in the second epoch of the first four
    outcome = tune_kd.run(**GRID, side_by_side=4, store=tmp_path / "runs", cache=cache, progress=progress)
    trials = outcome.store.trials()
    failed = trials[trials.status == "failed"]
    assert len(failed) == 4
    assert set(failed.attempt) == {0}
    assert (failed.epochs >= 1).all()
    whole = trials[trials.status == "completed"].set_index("trial_id").epochs
    assert (failed.set_index("trial_id").epochs + whole[failed.trial_id] == EPOCHS).all(), "no epoch was trained twice"
    pd.testing.assert_frame_equal(reached(outcome.store), reached(beside))


@pytest.mark.parametrize("again", [4, 1])
def test_an_interrupted_study_is_resumed_side_by_side_or_alone(again: int, beside: Store, cache, tmp_path) -> None:
    place = tmp_path / "runs"
    with pytest.raises(Interrupted):
        tune_kd.run(**GRID, side_by_side=4, store=place, cache=cache, progress=Said(at=10, kills=False))
    outcome = tune_kd.resume(side_by_side=again, store=place, cache=cache, max_concurrent=1)
    trials = outcome.store.trials()
    assert outcome.store.runs().status.tolist() == ["completed"]
    assert trials.trial_id.nunique() == TRIALS
    assert (trials.groupby("trial_id").epochs.sum() == EPOCHS).all()
    assert trials[trials.attempt == 1].side_by_side.max() == again
    found, expected = reached(outcome.store), reached(beside)
    assert found.seed.tolist() == expected.seed.tolist()
    assert found.val_loss.to_numpy() == pytest.approx(expected.val_loss.to_numpy(), rel=0.05)


POLICY = """
from dataclasses import dataclass
from typing import ClassVar

from policies.base import Constant
from policies.grid import Grid

class Picky(Constant):
    def begin_epoch(self, epoch, epochs, steps):
        if epoch == 1 and self.tau == 3:
            raise RuntimeError("not this one")

@dataclass(frozen=True, kw_only=True)
class PickyGrid(Grid):
    name: ClassVar[str] = "picky-grid"

    def temperature(self, params, seed):
        return Picky(params["tau"])
"""


def test_a_trial_that_breaks_does_not_take_its_neighbours_along(ray_running, cache, tmp_path: Path) -> None:
    (tmp_path / "picky.py").write_text(POLICY)
    own = {**GRID, "policy": f"{tmp_path / 'picky.py'}:PickyGrid", "budget": "3trials", "max_failures": 0}
    outcome = tune_kd.run(**own, side_by_side=3, store=tmp_path / "runs", cache=cache, progress=Said())
    trials = outcome.store.trials()
    last = trials.sort_values("attempt").groupby("index").last()
    assert last.status.tolist() == ["completed", "failed", "completed"]
    assert "not this one" in last.error[1]
    assert trials[trials.attempt == 0].side_by_side.tolist() == [3, 3, 3]
    assert last.side_by_side.tolist() == [1, 1, 1]
    assert outcome.store.runs().status.tolist() == ["completed"]


def test_auto_is_told_and_policies_that_must_train_alone_do(ray_running, cache, tmp_path) -> None:
    said = Said()
    outcome = tune_kd.compare(
        ["random", "tpe"],
        budget="24epochs",
        track="budget",
        settings=SMALL,
        side_by_side="auto",
        store=tmp_path / "runs",
        cache=cache,
        progress=said,
    )
    assert any("digits-student as one are" in note and "times as fast here" in note for note in said.notes)
    assert any("tpe chooses trials by the results of others" in note for note in said.notes)
    trials = outcome.store.trials().merge(outcome.store.runs()[["run_id", "policy"]])
    assert (trials[trials.policy == "tpe"].side_by_side == 1).all()
    for spent, limit in zip(outcome.store.runs().spent, outcome.store.runs().budget_limit, strict=True):
        assert limit <= spent <= limit + trials.side_by_side.max() * 2
