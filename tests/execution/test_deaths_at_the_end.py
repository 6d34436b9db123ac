"""An attempt that finds everything trained and reported: it says nothing again, and hands in what was chosen before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from run_events import closed_account, ended, report, started

from tune_kd.budget.amount import parse_budget
from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.worker import results_of
from tune_kd.events import Event
from tune_kd.history.run_history import history_of
from tune_kd.store import Store, create_store
from tune_kd.store.writing.fold import fold
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
Again = Callable[[Trial, int | None], Trial]
EPOCHS, TRIAL = 3, "run-0000"
CHOSEN = {"checkpoint_epoch": 2, "val_score": 0.75, "val_loss": 0.5}


@pytest.fixture
def again(counted: NetworkFlops) -> Again:
    """again(trial, reported): the next attempt at it, whose driver has heard of so many epochs."""

    def attempt(trial: Trial, reported: int | None) -> Trial:
        spec = replace(trial.spec, attempt=1, reported=reported)
        return Trial(spec, trial.data, trial.teacher, trial.place, counted)

    return attempt


# The worker's side


@pytest.mark.parametrize(("reported", "repeated"), [(EPOCHS, []), (EPOCHS - 1, [EPOCHS]), (None, [EPOCHS])])
def test_only_what_the_driver_has_not_heard_is_said_again(
    reported: int | None, repeated: list[int], make_trial: MakeTrial, again: Again, tmp_path: Path
) -> None:
    first = make_trial(checkpoint=tmp_path / "trial.pt")
    *_, last = first.fit()
    kept = (tmp_path / "trial.pt").read_bytes()
    assert [report.epoch for report in again(first, reported).fit()] == repeated
    assert (tmp_path / "trial.pt").read_bytes() == kept, "nothing is trained"
    *_, told = results_of(again(first, reported))
    assert ("reports" in told) == bool(repeated)
    assert (told["epoch"], told["val_score"]) == (EPOCHS, last.val_score), "what schedulers go by"


def test_without_its_checkpoint_a_trial_is_trained_again(make_trial: MakeTrial, again: Again) -> None:
    """What was heard of it is not enough to hand in a student."""
    assert [report.epoch for report in again(make_trial(), EPOCHS).fit()] == [1, 2, 3]


# The driver's side: what is kept and charged


def attempts() -> list[list[Event]]:
    """Of one trial: one that was lost after its last report, and the one after it."""
    reports = [replace(report(TRIAL, 0, epoch, 10.0 * epoch), checkpoint_epoch=2) for epoch in (1, 2, EPOCHS)]
    lost = [started(TRIAL, 0), *reports, ended(TRIAL, 0, "lost"), closed_account(TRIAL, 0, 31.0)]
    return [lost, [started(TRIAL, 1), replace(ended(TRIAL, 1), **CHOSEN), closed_account(TRIAL, 1, 2.0)]]


def test_the_row_of_such_an_attempt_has_the_choice_of_the_one_before_and_its_own_energy() -> None:
    trial, reports = fold(attempts()[1])
    assert {name: trial[name] for name in CHOSEN} == CHOSEN
    assert (trial["status"], trial["epochs"], trial["energy_j"], reports) == ("completed", 0, 2.0, [])


@pytest.mark.parametrize(("budget", "spent"), [("9epochs", EPOCHS), ("99J", 33.0), ("99flops", 30), ("9trials", 1)])
def test_it_is_charged_what_it_used_and_no_epoch(budget: str, spent: float) -> None:
    ledger = Ledger(budget=parse_budget(budget))
    for event in (event for attempt in attempts() for event in attempt):
        ledger(event)
    assert ledger.spent == spent


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One that holds both attempts."""
    store = create_store(tmp_path / "runs")
    for number, events in enumerate(attempts()):
        with store.journal("run", TRIAL, number) as journal:
            for event in events:
                journal.append(event)
            store.seal("run", TRIAL, number)
    return store


def test_a_resumed_run_has_it_tested_and_keeps_its_row(store: Store) -> None:
    history = history_of(store, "run")
    [untested] = history.untested
    assert fold(untested) == fold(attempts()[1])
    [trial] = history.trials
    assert (trial.status, trial.epoch, trial.attempt) == ("completed", EPOCHS, 1)
