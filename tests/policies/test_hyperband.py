"""Hyperband: brackets that a trial's index decides, each a successive halving of its own patience."""

from __future__ import annotations

from pathlib import Path

import pytest
from tune_simulator import Simulator, kept

from policies.schedulers import Brackets
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.errors import InputError
from tune_kd.events import EpochReport
from tune_kd.history.run_history import KnownTrial, history_of
from tune_kd.planning.plan import RunPlan, plan_study

EPOCHS = 10


def plan_of(label: str = "hyperband-tpe:reduction=2") -> RunPlan:
    return plan_study(policies=[label], budget="24trials", settings={"recipe.epochs": EPOCHS}).runs[0]


def epochs_of(run: Simulator) -> dict[str, int]:
    """How far each trial got."""
    return {event.trial_id: event.epoch for event in run.of(EpochReport)}


def bracket_of(index: int, reduction: int = 2, count: int = 3) -> int:
    brackets = Brackets(1, reduction, count)
    return brackets.brackets.index(brackets.of(KnownTrial(trial_id="", index=index, params={})))


def test_it_suggests_what_tpe_suggests() -> None:
    searchers = [make_policy(name).searcher(SPACES["tau-alpha"], 5) for name in ("hyperband-tpe", "tpe")]
    for index in range(20):
        first, second = (searcher.suggest(f"trial-{index}") for searcher in searchers)
        assert first == second
        for searcher in searchers:
            searcher.on_trial_complete(f"trial-{index}", {"val_score": first["tau"], "training_iteration": 1})


def test_brackets_start_about_as_many_epochs_each() -> None:
    drawn = [bracket_of(index) for index in range(1400)]
    assert [drawn.count(bracket) / 1400 for bracket in range(3)] == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.04)


def test_trials_are_stopped_at_the_rungs_of_their_own_bracket() -> None:
    run = Simulator(plan=plan_of(), seed=1)
    run.run()
    epochs = epochs_of(run)
    stopped = {trial_id: epoch for trial_id, epoch in epochs.items() if run.statuses[trial_id] == "stopped"}
    for trial_id, epoch in stopped.items():
        bracket = bracket_of(int(trial_id[-4:]))
        assert epoch in {2 ** (bracket + rung) for rung in range(4)}
    assert {epochs[trial_id] for trial_id in epochs.keys() - stopped.keys()} == {EPOCHS}
    assert len({bracket_of(int(trial_id[-4:])) for trial_id in stopped}) > 1


def test_a_resumed_run_judges_by_the_trials_of_its_past(tmp_path: Path) -> None:
    plan = plan_of()
    whole = Simulator(plan=plan, seed=1)
    whole.run()
    until = sum(epoch for trial_id, epoch in epochs_of(whole).items() if trial_id < f"{plan.run_id}-0012")
    first = Simulator(plan=plan, seed=1)
    first.run(most=until)
    assert not first.running, "twelve trials have ended"
    second = Simulator(plan=plan, seed=2, history=history_of(kept(first, tmp_path / "runs"), plan.run_id))
    second.run()
    assert {**epochs_of(first), **epochs_of(second)} == epochs_of(whole)


@pytest.mark.parametrize("option", ["grace=0", "reduction=1", "brackets=0", "startup=0"])
def test_an_option_that_cannot_be_is_refused(option: str) -> None:
    with pytest.raises(InputError, match=rf"{option.split('=')[0]}.* must be ≥ \d.*, got .*{option[-1]}"):
        make_policy(f"hyperband-tpe:{option}")
