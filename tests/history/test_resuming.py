"""What resume takes up, and what it refuses, from a store alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import run_events
import torch
from tune_simulator import Simulator

from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.events import TrialStarted
from tune_kd.history import resume
from tune_kd.history.records import plan_rows
from tune_kd.history.run_history import KnownTrial, RunHistory, history_of
from tune_kd.planning.plan import Study, plan_study
from tune_kd.storage import checkpoints
from tune_kd.store import Store, create_store
from tune_kd.training.teacher import Teacher, teacher_id


@pytest.fixture
def planned(digits: ImageData, tmp_path: Path) -> tuple[Study, Store]:
    """A study of two runs, written down and not begun."""
    study, store = plan_study(policies=["grid", "stochastic:continuous=true"]), create_store(tmp_path / "runs")
    plan_rows(study, digits, store)
    return study, store


def test_a_planned_study_comes_back_as_it_was_planned(planned: tuple[Study, Store]) -> None:
    study, store = planned
    assert resume.study_of(resume.unfinished_rows(store, None)) == study
    assert resume.study_of(resume.unfinished_rows(store, study.study_id)) == study


def test_one_run_is_taken_up_by_its_id(planned: tuple[Study, Store]) -> None:
    study, store = planned
    rows = resume.unfinished_rows(store, study.runs[1].run_id)
    assert resume.study_of(rows).runs == study.runs[1:]


def test_without_a_name_the_latest_unfinished_study_is_taken_up(
    planned: tuple[Study, Store], digits: ImageData
) -> None:
    _, store = planned
    later = plan_study(policies=["random"])
    rows = plan_rows(later, digits, store)
    assert {row.study_id for row in resume.unfinished_rows(store, None)} == {later.study_id}
    store.write_run({**rows[later.runs[0].run_id].columns, "status": "completed"})
    assert later.study_id not in {row.study_id for row in resume.unfinished_rows(store, None)}


def test_a_name_that_is_not_there_is_answered_with_the_nearest(planned: tuple[Study, Store]) -> None:
    study, store = planned
    with pytest.raises(InputError, match=f"did you mean '{study.study_id}"):
        resume.unfinished_rows(store, study.study_id + "0")


def test_where_everything_has_ended_there_is_nothing_to_resume(planned: tuple[Study, Store]) -> None:
    study, store = planned
    for row in resume.unfinished_rows(store, None):
        store.write_run({**row.columns, "status": "completed"})
    with pytest.raises(InputError, match="nothing to resume"):
        resume.unfinished_rows(store, None)
    with pytest.raises(InputError, match="nothing to resume"):
        resume.unfinished_rows(store, study.study_id)


@pytest.mark.parametrize("changed", ["split_sha256", "policy_sha256", "code_version", "code_revision"])
def test_other_data_or_code_is_refused_with_what_differs(
    planned: tuple[Study, Store], digits: ImageData, changed: str
) -> None:
    _, store = planned
    rows = resume.unfinished_rows(store, None)
    resume.check_unchanged(rows, digits, force=True)
    assert [row.forced_changes for row in rows] == [None, None], "nothing differs, so nothing was forced"
    rows[0].columns[changed] = "what it was then"
    with pytest.raises(InputError, match=f"{changed}: what it was then then, .* now.*--force"):
        resume.check_unchanged(rows, digits, force=False)
    resume.check_unchanged(rows, digits, force=True)
    assert str(rows[0].forced_changes).startswith(f"{changed}: what it was then then")
    rows[0].write(store)


def test_another_teacher_in_the_file_that_was_given_is_refused(
    digits: ImageData, teacher: Teacher, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pt"
    torch.save(teacher.weights, path)
    study = plan_study(policies=["grid"], settings={"teacher_checkpoint": str(path)})
    store = create_store(tmp_path / "runs")
    [row] = plan_rows(study, digits, store).values()
    row.columns["teacher_id"] = teacher_id(study.scenario, digits)
    resume.check_unchanged([row], digits, force=False)
    torch.save({key: tensor + 1 for key, tensor in teacher.weights.items()}, path)
    with pytest.raises(InputError, match=r"teacher_id: .* then, .* now.*--force"):
        resume.check_unchanged([row], digits, force=False)


def test_what_is_computed_with_the_recorded_carbon_intensity_can_be_read_from_a_checkpoint(
    planned: tuple[Study, Store], tmp_path: Path
) -> None:
    """A checkpoint is refused with NumPy's numbers in it, as they come from the store's tables."""
    study, store = planned
    run_id = study.runs[0].run_id
    trial_id = f"{run_id}-0000"
    with store.journal(run_id, trial_id, 0) as journal:
        journal.append(replace(run_events.started(trial_id, 0), run_id=run_id, carbon_g_per_kwh=380.0, pue=1.5))
        journal.append(replace(run_events.ended(trial_id, 0), run_id=run_id))
        store.seal(run_id, trial_id, 0)
    carbon = resume.recorded_carbon(store, resume.unfinished_rows(store, None))
    assert carbon is not None
    checkpoints.save(tmp_path / "cost.pt", {"co2e_g": carbon.co2e_g(3.6e6)})
    assert checkpoints.load(tmp_path / "cost.pt") == {"co2e_g": 380.0 * 1.5}


@pytest.mark.parametrize(("failures", "max_failures", "unfinished"), [(1, 0, False), (1, 1, True), (2, 1, False)])
def test_a_trial_whose_driver_did_not_live_to_try_it_again_is_unfinished(
    tmp_path: Path, failures: int, max_failures: int, unfinished: bool
) -> None:
    store = create_store(tmp_path / "runs")
    for attempt in range(failures):
        with store.journal("run", "run-0000", attempt) as journal:
            journal.append(run_events.started("run-0000", attempt))
            journal.append(run_events.ended("run-0000", attempt, "failed"))
            store.seal("run", "run-0000", attempt)
    [trial] = history_of(store, "run", max_failures).trials
    assert trial.unfinished == unfinished


@pytest.mark.parametrize("policy", ["grid", "random", "tpe"])
def test_a_trial_that_was_suggested_and_had_not_started_is_trained_by_the_next_driver(policy: str) -> None:
    """Workers come up in any order: a driver may die when the second trial has started and the first has not."""
    [plan] = plan_study(policies=[policy], budget="4trials", settings={"recipe.epochs": 2}).runs
    whole = Simulator(plan=plan, workers=2, seed=1)
    whole.run()
    second = next(event for event in whole.of(TrialStarted) if event.index == 1)
    lost = KnownTrial(trial_id=second.trial_id, index=1, params=second.params, attempt=0, status="lost")
    resumed = Simulator(plan=plan, workers=2, seed=2, history=RunHistory(trials=(lost,)))
    resumed.run()
    assert resumed.started == whole.started
    assert resumed.ledger.spent == 4
    expected = {event.trial_id: event.params for event in whole.of(TrialStarted)}
    assert {event.trial_id: event.params for event in resumed.of(TrialStarted)} == expected
