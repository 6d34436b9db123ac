"""Trials that are trained side by side: each is what it would have been alone."""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.events import EpochReport
from tune_kd.storage import checkpoints
from tune_kd.training.phases import ALONE, Divided, Phases, Share, Turn
from tune_kd.training.side_by_side import SideBySide
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
EPOCHS = 3
STEPS = 6  # batches of an epoch of the small problem: 340 images, 64 a batch

# What depends on the rounding of a kernel, beside what a clock says.
ROUNDED = {"train_loss", "val_loss", "val_score", "checkpoint_val_score", "checkpoint_val_loss"}
MEASURED = {"at", "duration_s", "train_s", "eval_s", "teacher_s", "other_s", "peak_memory_bytes"}

# A search, a random τ for each batch and sample, a learned τ, losses of their own, with Adam and classes of it.
POLICIES = ["grid", "stochastic", "stochastic-per-sample", "annealing", "ctkd", "dtkd", "normkd", "student"]


def members(make_trial: MakeTrial, policy: str, count: int, **options: Any) -> list[Trial]:
    """So many trials of one run that share their clock, images and teacher, each with its own τ."""
    clock, trials = Phases(torch.device("cpu")), list[Trial]()
    for index in range(count):
        beside = trials[0] if trials else None
        own = {**options, "params": {"tau": 2.0 + 3 * index, **options.get("params", {})}}
        trials.append(make_trial(policy, index=index, phases=Share(clock), beside=beside, **own))
    return trials


def trained(trials: Sequence[Trial]) -> list[list[EpochReport]]:
    """By trial the reports of all that are trained side by side."""
    clock = trials[0].phases._clock  # type: ignore[union-attr]
    rounds = list(SideBySide(trials, clock).fit())
    return [[report for each in rounds for report in each if report.trial_id == t.spec.trial_id] for t in trials]


def alone(make_trial: MakeTrial, policy: str, index: int, **options: Any) -> list[EpochReport]:
    own = {**options, "params": {"tau": 2.0 + 3 * index, **options.get("params", {})}}
    return list(make_trial(policy, index=index, **own).fit())


def losses_of_steps(trial: Trial) -> list[list[float]]:
    """The loss of each batch that the trial is going to train on, kept as it is trained."""
    found: list[list[float]] = []
    begin = trial.begin_epoch

    def listening(*given: Any) -> Any:
        distillation = begin(*given)
        loss_of = distillation.loss
        distillation.loss = lambda *step: _kept(found, loss_of(*step))  # type: ignore[method-assign]
        return distillation

    trial.begin_epoch = listening  # type: ignore[method-assign]
    return found


def _kept(found: list[Any], loss: torch.Tensor) -> torch.Tensor:
    found.append(loss.item())
    return loss


@pytest.mark.parametrize("settings", [{}, {"recipe.optimizer": "adam", "recipe.lr": 0.01}, {"loss": "cmc-tau"}])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_losses_of_the_first_20_steps_are_those_of_separate_trials(
    policy: str, settings: dict[str, Any], make_trial: MakeTrial
) -> None:
    settings = {**settings, "recipe.epochs": 4, "recipe.milestones": [1, 2]}
    beside = members(make_trial, policy, 3, settings=settings)
    found = [losses_of_steps(trial) for trial in beside]
    trained(beside)
    for index, losses in enumerate(found):
        single = make_trial(policy, index=index, params={"tau": 2.0 + 3 * index}, settings=settings)
        expected = losses_of_steps(single)
        list(single.fit())
        assert len(losses) == len(expected) == 4 * STEPS
        assert losses[:20] == pytest.approx(expected[:20], rel=1e-4, abs=1e-4)


def test_each_member_reports_what_it_would_alone(make_trial: MakeTrial) -> None:
    for index, reports in enumerate(trained(members(make_trial, "grid", 3))):
        for one, other in zip(reports, alone(make_trial, "grid", index), strict=True):
            apart = {name for name in vars(one) if getattr(one, name) != getattr(other, name)}
            assert apart - MEASURED - ROUNDED <= {"flops_teacher", "flops_executed"}  # the teacher is asked once
            assert one.train_loss == pytest.approx(other.train_loss, rel=1e-4)
            assert (one.tau_mean, one.lr) == (2.0 + 3 * index, other.lr)


def test_accuracies_are_those_of_separate_trials_within_the_noise_of_5_seeds(make_trial: MakeTrial) -> None:
    """Later than the first steps, sums that are rounded in another way lead to another student of the same kind."""
    settings = {"recipe.epochs": 12, "recipe.milestones": [5, 8, 10]}
    together = [reports[-1].val_score for reports in trained(members(make_trial, "grid", 5, settings=settings))]
    apart = [alone(make_trial, "grid", index, settings=settings)[-1].val_score for index in range(5)]
    noise = statistics.stdev(apart)
    print(f"side by side {together}, alone {apart}")
    assert noise > 0
    assert abs(statistics.mean(together) - statistics.mean(apart)) <= noise


def test_one_alone_in_its_process_and_the_same_ones_together_repeat_to_the_last_bit(make_trial: MakeTrial) -> None:
    def results(reports: Sequence[EpochReport]) -> list[dict[str, Any]]:
        return [{name: value for name, value in vars(each).items() if name not in MEASURED} for each in reports]

    [single] = trained(members(make_trial, "stochastic", 1))
    assert results(single) == results(alone(make_trial, "stochastic", 0))
    first, second = (trained(members(make_trial, "stochastic", 3)) for _ in range(2))
    assert list(map(results, first)) == list(map(results, second))


def test_the_teacher_is_asked_once_and_its_flops_are_divided(make_trial: MakeTrial) -> None:
    single = alone(make_trial, "grid", 0)[-1]
    ends = [reports[-1] for reports in trained(members(make_trial, "grid", 3))]
    assert sum(report.flops_teacher for report in ends) == single.flops_teacher
    assert max(report.flops_teacher for report in ends) > 0
    assert {report.flops_paper for report in ends} == {single.flops_paper}  # there every trial asks


def test_the_seconds_of_the_members_are_those_of_the_clock(make_trial: MakeTrial) -> None:
    beside = members(make_trial, "grid", 3)
    ends = [reports[-1] for reports in trained(beside)]
    assert len({(report.duration_s, report.train_s, report.eval_s, report.teacher_s) for report in ends}) == 1
    clock = beside[0].phases._clock  # type: ignore[union-attr]
    assert 3 * ends[0].train_s == pytest.approx(clock.seconds["train"])
    assert 3 * ends[0].teacher_s == pytest.approx(clock.seconds["teacher"])
    assert 3 * ends[0].duration_s < clock.duration_s
    assert ends[0].other_s > 0


def test_equal_shares_add_up_whatever_the_number() -> None:
    for whole, many in itertools.product((0, 1, 7, 1100, 10**15 + 3), (1, 2, 3, 19)):
        shares = [Turn(place, many).share(whole) for place in range(many)]
        assert sum(shares) == whole
        assert max(shares) - min(shares) <= 1
    assert ALONE.share(1100) == 1100


def test_a_clock_is_divided_among_those_that_were_trained_meanwhile() -> None:
    clock = Phases(torch.device("cpu"))
    divided, first, second = Divided(clock), Share(clock), Share(clock)
    clock.seconds["train"] = 4.0
    divided.among([first, second])
    clock.seconds["train"] = 7.0
    divided.among([second])
    assert (first.seconds["train"], second.seconds["train"]) == (2.0, 5.0)
    assert math.isclose(first.duration_s + second.duration_s, divided._duration_s)


# Checkpoints


def state_of(path: Path) -> dict[str, Any]:
    state = checkpoints.load(path)
    assert state is not None
    return state


@pytest.mark.parametrize("policy", ["grid", "ctkd"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_checkpoint_is_that_of_a_trial_alone(
    policy: str, optimizer: str, make_trial: MakeTrial, tmp_path: Path
) -> None:
    settings = {"recipe.optimizer": optimizer, "recipe.lr": 0.01}
    beside = [
        make_trial(policy, index=index, settings=settings, checkpoint=tmp_path / f"beside-{index}") for index in (0, 1)
    ]
    clock = Phases(torch.device("cpu"))
    list(SideBySide(beside, clock).fit())
    for index in (0, 1):
        list(make_trial(policy, index=index, settings=settings, checkpoint=tmp_path / f"alone-{index}").fit())
        one, other = (state_of(tmp_path / f"{kind}-{index}") for kind in ("beside", "alone"))
        _assert_close({**one, "report": None}, {**other, "report": None})
        assert (tmp_path / f"beside-{index}").stat().st_size == pytest.approx(
            (tmp_path / f"alone-{index}").stat().st_size, rel=0.05
        )


def _assert_close(one: Any, other: Any) -> None:
    """The same at any depth, tensors but for the rounding of three epochs."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            if name not in ("passed", "score", "loss"):  # who asked the teacher; what validation rounds to
                _assert_close(one[name], other[name])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            _assert_close(first, second)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
    else:
        assert one == pytest.approx(other)


def test_resumed_members_that_are_not_equally_far_catch_up(make_trial: MakeTrial, tmp_path: Path) -> None:
    whole = [reports[-1] for reports in trained(members(make_trial, "grid", 3))]
    for index, done in enumerate((2, 1, 0)):  # epochs of each until it was interrupted, alone
        single = make_trial("grid", index=index, params={"tau": 2.0 + 3 * index}, checkpoint=tmp_path / str(index))
        list(itertools.islice(single.fit(), done))
    clock, resumed = Phases(torch.device("cpu")), list[Trial]()
    for index in range(3):
        own = {"params": {"tau": 2.0 + 3 * index}, "checkpoint": tmp_path / str(index)}
        beside = resumed[0] if resumed else None
        resumed.append(make_trial("grid", index=index, phases=Share(clock), beside=beside, **own))
        resumed[index].spec = dataclasses.replace(resumed[index].spec, reported=resumed[index].epoch)
    rounds = list(SideBySide(resumed, clock).fit())
    assert [[report.trial_id for report in each] for each in rounds] == [
        ["run-0002"],
        ["run-0001", "run-0002"],
        ["run-0000", "run-0001", "run-0002"],
    ]
    for report, expected in zip(rounds[-1], whole, strict=True):
        assert report.epoch == EPOCHS
        assert report.train_loss == pytest.approx(expected.train_loss, rel=1e-3)


def test_a_member_that_diverges_leaves_the_others_as_they_are(make_trial: MakeTrial) -> None:
    healthy = members(make_trial, "grid", 3)
    expected = [reports[-1] for reports in trained(healthy)]
    broken = members(make_trial, "grid", 3)
    with torch.no_grad():
        next(broken[1].student.network.parameters()).fill_(math.nan)
    first, second, third = (reports[-1] for reports in trained(broken))
    assert second.diverged_epoch == 1
    assert math.isnan(second.train_loss)
    for report, same in ((first, expected[0]), (third, expected[2])):
        assert (report.train_loss, report.val_loss) == (same.train_loss, same.val_loss)
