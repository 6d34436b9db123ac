"""One trial, in plain Python: what it reports, what it costs, and that it can be repeated and resumed."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from policies import POLICIES, Policy
from policies.base import Constant, Softening, Temperature, hinton
from tune_kd import models
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData, ImageSet
from tune_kd.events import EpochReport
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import Pace
from tune_kd.storage import checkpoints
from tune_kd.tasks.base import Evaluation
from tune_kd.training.student import Chosen
from tune_kd.training.trial import Trial

MakeTrial = Callable[..., Trial]
EPOCHS = 3

# Whatever a clock, a meter or the machine says; all else must repeat bit for bit.
MEASURED = {"at", "duration_s", "train_s", "eval_s", "teacher_s", "other_s", "peak_memory_bytes"}
FLOPS = {"flops_executed", "flops_teacher", "flops_forward", "flops_backward", "flops_eval", "flops_paper"}
CUMULATIVE = FLOPS | {"flops_policy"}  # 0 where the policy computes nothing of its own

# Of an epoch without a teacher there is no τ, and nothing of the teacher's to add.
WITHOUT_TEACHER = {"annealing-kd", "student"}
TAUS = {"tau_mean", "tau_min", "tau_max"}

every_policy = pytest.mark.parametrize("label", sorted({*POLICIES, "annealing:shape=cosine"}))


def outcome(report: EpochReport, *, without: set[str] = MEASURED) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(report).items() if name not in without}


def outcomes(trial: Trial) -> list[dict[str, Any]]:
    return [outcome(report) for report in trial.fit()]


def equal(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Bit for bit, tensors and values at any depth."""
    if first.keys() != second.keys():
        return False
    for name, one in first.items():
        other = second[name]
        if isinstance(one, Mapping) and not equal(one, other):
            return False
        if isinstance(one, Tensor) and not torch.equal(one, other):
            return False
        if not isinstance(one, Mapping | Tensor) and one != other:
            return False
    return True


def state_at(path: Path) -> dict[str, Any]:
    """A trial's checkpoint but for its last report, which holds what was measured."""
    state = checkpoints.load(path)
    assert state is not None
    return {name: value for name, value in state.items() if name != "report"}


def part(image_set: ImageSet, count: int) -> ImageSet:
    return ImageSet(images=image_set.images[:count], labels=image_set.labels[:count])


# What is reported


@every_policy
def test_every_epoch_has_a_report_with_everything_but_what_the_machine_cannot_measure(
    label: str, make_trial: MakeTrial
) -> None:
    reports = list(make_trial(label).fit())
    assert [report.epoch for report in reports] == list(range(1, EPOCHS + 1))
    for report in reports:
        missing = {name for name, value in dataclasses.asdict(report).items() if value is None}
        energies = {"energy_j", "energy_cpu_j", "energy_gpu_j", "energy_ram_j", "energy_idle_j", "energy_method"}
        metered = energies | set(Pace().columns()) | {"co2e_g", "co_tenants"}
        assert missing - {"peak_memory_bytes", "diverged_epoch", *TAUS} == metered
        assert missing & TAUS == set() or label in WITHOUT_TEACHER
        assert math.isfinite(report.train_loss)
        assert math.isfinite(report.val_loss)
        assert 0 <= report.val_score <= 1
        assert (report.run_id, report.trial_id, report.node_id) == ("run", "run-0000", "node")
        assert report.at.tzinfo is not None
        assert report.flops_uncounted_ops == ""


@every_policy
def test_costs_add_up_from_epoch_to_epoch(label: str, make_trial: MakeTrial) -> None:
    reports = list(make_trial(label).fit())
    for before, after in itertools.pairwise(reports):
        for name in [*FLOPS, "duration_s", "train_s", "eval_s", "teacher_s"]:
            if label in WITHOUT_TEACHER and "teacher" in name:
                assert getattr(after, name) >= getattr(before, name) >= 0, name
            else:
                assert getattr(after, name) > getattr(before, name) > 0, name


def test_every_second_belongs_to_a_phase(make_trial: MakeTrial) -> None:
    for report in make_trial().fit():
        assert report.train_s + report.eval_s + report.other_s == pytest.approx(report.duration_s, rel=1e-12)
        assert report.other_s > 0
        assert 0 < report.teacher_s < report.train_s  # the teacher answers within the training step


def test_energy_and_co_tenants_are_the_meters_and_co2e_follows(make_trial: MakeTrial) -> None:
    marks = [Energy(cpu_j=3.6e6 * n, ram_j=1.8e6 * n, idle_j=0.0, method="model") for n in range(1, EPOCHS + 1)]
    for epoch, report in enumerate(make_trial(marks=marks).fit(), start=1):
        assert (report.energy_cpu_j, report.energy_ram_j) == (3.6e6 * epoch, 1.8e6 * epoch)
        assert (report.energy_idle_j, report.energy_gpu_j, report.energy_method) == (0.0, None, "model")
        assert report.co_tenants == 3  # the recorded meter's
        assert report.energy_j == 5.4e6 * epoch
        assert report.co2e_g == pytest.approx(1.5 * 1.5 * 500 * epoch)  # 1.5 kWh · PUE 1.5 · 500 g/kWh


def test_tau_is_reported_as_it_was_used(make_trial: MakeTrial) -> None:
    for report in make_trial("grid", params={"tau": 7.0}).fit():
        assert (report.tau_mean, report.tau_min, report.tau_max) == (7.0, 7.0, 7.0)
    first, *_, last = make_trial("annealing").fit()
    assert first.tau_max == 20.0
    assert last.tau_min == 2.0
    for report in make_trial("stochastic").fit():
        assert report.tau_min is not None
        assert report.tau_mean is not None
        assert report.tau_max is not None
        assert 2 <= report.tau_min < report.tau_mean < report.tau_max <= 20


def test_the_learning_rate_follows_the_milestones(make_trial: MakeTrial) -> None:
    rates = [report.lr for report in make_trial(settings={"recipe.lr": 0.1, "recipe.gamma": 0.5}).fit()]
    assert rates == pytest.approx([0.1, 0.05, 0.025])


def test_the_warm_up_rises_step_by_step_to_the_full_rate(make_trial: MakeTrial) -> None:
    trial = make_trial(settings={"recipe.lr": 0.1, "recipe.warmup_epochs": 1, "recipe.milestones": []})
    rates = []
    step = trial.student.schedule.step

    def watched() -> None:
        rates.append(trial.student.optimizer.param_groups[0]["lr"])
        step()

    trial.student.schedule.step = watched  # type: ignore[assignment]
    list(trial.fit())
    steps = trial.steps
    assert rates[:steps] == pytest.approx([0.1 * (k + 1) / steps for k in range(steps)])
    assert rates[steps:] == pytest.approx([0.1] * (2 * steps))


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe.optimizer": "adam", "recipe.lr": 0.01},
        {"recipe.nesterov": True},
        {"reduction": "classmean"},
        {"precision": "bfloat16"},
        {"recipe.flip": True, "recipe.crop_padding": 1, "recipe.rotation_degrees": 10.0},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_a_student_learns_under_every_kind_of_recipe(settings: dict[str, Any], make_trial: MakeTrial) -> None:
    longer = {"recipe.epochs": 5, "recipe.batch_size": 16, "recipe.milestones": []}
    first, *_, last = make_trial(settings=settings | longer).fit()
    assert last.train_loss < first.train_loss
    assert last.val_loss < math.log(10)  # that of an answer which knows nothing of the image


# FLOPs


def macs(model: nn.Module, channels: int, image_size: int) -> tuple[int, int]:
    """Multiply-accumulates per image of all layers and of the first: each weight once for every output position."""
    found: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        found.append(output.numel() // weight.shape[0] * weight.numel())

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    model.eval()(torch.zeros(1, channels, image_size, image_size))
    return sum(found), found[0]


@pytest.mark.parametrize("images", [340, 193, 65])
def test_flops_are_those_of_an_independent_count(
    images: int, make_trial: MakeTrial, digits: ImageData, scenario: Scenario
) -> None:
    """193 and 65 are one more than full batches of 64: a batch of one image is not trained on, so not charged."""
    data = replace(digits, train=part(digits.train, images))
    built = (models.build(name, classes=10, channels=1, image_size=8) for name in (scenario.student, scenario.teacher))
    (student, first), (teacher, _) = (macs(model, 1, 8) for model in built)
    trained = images - (images % scenario.recipe.batch_size == 1)
    for epoch, report in enumerate(make_trial(data=data).fit(), start=1):
        assert report.flops_forward == 2 * student * trained * epoch
        assert report.flops_forward + report.flops_backward == 2 * (3 * student - first) * trained * epoch
        assert report.flops_teacher == 2 * teacher * trained * epoch
        assert report.flops_eval == 2 * student * len(digits.validation) * epoch
        assert report.flops_paper == 2 * (student + teacher) * trained * epoch
        parts = report.flops_forward + report.flops_backward + report.flops_teacher + report.flops_eval
        assert report.flops_executed == parts


# Same seed, other seed


@every_policy
def test_the_same_trial_gives_the_same_result_bit_for_bit(label: str, make_trial: MakeTrial) -> None:
    first, second = make_trial(label), make_trial(label)
    assert outcomes(first) == outcomes(second)
    assert equal(first.student.network.state_dict(), second.student.network.state_dict())


@every_policy
def test_a_restart_is_another_training(label: str, make_trial: MakeTrial) -> None:
    first, second = make_trial(label, index=0), make_trial(label, index=1)
    assert not equal(
        first.student.network.state_dict(), second.student.network.state_dict()
    )  # from the initial weights on
    assert [report["val_loss"] for report in outcomes(first)] != [report["val_loss"] for report in outcomes(second)]


def test_another_replicate_is_another_training(make_trial: MakeTrial) -> None:
    first, second = (outcomes(make_trial(replicate_seed=seed)) for seed in (1, 2))
    assert [report["val_loss"] for report in first] != [report["val_loss"] for report in second]


def test_a_worker_that_did_something_else_before_gives_the_same_result(make_trial: MakeTrial) -> None:
    expected = outcomes(make_trial())
    torch.manual_seed(99)
    torch.rand(7)
    np.random.seed(99)
    assert outcomes(make_trial()) == expected


@dataclass(frozen=True, kw_only=True)
class Listening(Policy):
    """Constant τ, and a note of what the teacher said of every batch."""

    name: ClassVar[str] = "listening"
    heard: list[Tensor]

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Ear(self.heard)


class Ear(Constant):
    def __init__(self, heard: list[Tensor]) -> None:
        super().__init__(4.0)
        self.heard = heard

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        self.heard.append(teacher_logits.clone())
        return super().forward(step, student_logits, teacher_logits)


def test_trials_of_a_replicate_are_paired_batch_by_batch(make_trial: MakeTrial) -> None:
    """What a frozen teacher says is a fingerprint of the batch: its images, their order and augmentation."""

    def fingerprint(**where: int) -> list[Tensor]:
        heard: list[Tensor] = []
        settings = {"recipe.flip": True, "recipe.crop_padding": 1}
        list(make_trial(Listening(heard=heard), settings=settings, **where).fit())
        return heard

    first, other_trial = fingerprint(index=0, replicate_seed=1), fingerprint(index=5, replicate_seed=1)
    assert len(first) == EPOCHS * 6
    assert all(map(torch.equal, first, other_trial))
    other_replicate = fingerprint(index=0, replicate_seed=2)
    assert not any(map(torch.equal, first, other_replicate))
    epochs = [torch.cat(first[start : start + 6]) for start in (0, 6, 12)]
    assert not torch.equal(epochs[0], epochs[1])  # each epoch has an order of its own


# Going on from a checkpoint


@dataclass(frozen=True, kw_only=True)
class Learning(Policy):
    """A τ with a parameter, trained with the student."""

    name: ClassVar[str] = "learning"

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Learned()


class Learned(Temperature):
    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(1.0))

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(1 + 20 * torch.sigmoid(self.theta))


RESUMABLE: list[str | Policy] = [*POLICIES, Learning()]


@pytest.mark.parametrize("policy", RESUMABLE, ids=lambda policy: policy if isinstance(policy, str) else policy.name)
@pytest.mark.parametrize("done", [1, 2])
def test_a_resumed_trial_is_the_uninterrupted_one_bit_for_bit(
    policy: str | Policy, done: int, make_trial: MakeTrial, tmp_path: Path
) -> None:
    settings = {"checkpoint": "best"}
    whole = make_trial(policy, settings=settings, checkpoint=tmp_path / "whole.pt")
    expected = list(whole.fit())
    before = list(itertools.islice(make_trial(policy, settings=settings, checkpoint=tmp_path / "cut.pt").fit(), done))
    resumed = make_trial(policy, settings=settings, checkpoint=tmp_path / "cut.pt")
    after = list(resumed.fit())

    without = MEASURED | CUMULATIVE
    found = [outcome(report, without=without) for report in [*before, *after]]
    assert found == [outcome(report, without=without) for report in expected]
    # Costs are those of the attempt: what was spent before the interruption is on the first attempt's account.
    for name in CUMULATIVE:
        assert [getattr(report, name) for report in after] == [
            getattr(report, name) - getattr(expected[done - 1], name) for report in expected[done:]
        ]
    assert equal(state_at(tmp_path / "cut.pt"), state_at(tmp_path / "whole.pt"))


def test_a_learned_temperature_is_trained(make_trial: MakeTrial) -> None:
    trial = make_trial(Learning())
    reports = list(trial.fit())
    assert reports[0].tau_min != reports[0].tau_max
    assert trial.student.temperature.get_parameter("theta").item() != 1.0


def small_mobilenet(make_trial: MakeTrial, digits: ImageData) -> Callable[..., Trial]:
    """A student with dropout, on two batches an epoch."""

    def make(**options: Any) -> Trial:
        data = replace(digits, train=part(digits.train, 64), validation=part(digits.validation, 20))
        settings = {"student": "mobilenetv2", "recipe.epochs": 2, "recipe.batch_size": 32}
        return make_trial(settings=settings, data=data, **options)

    return make


def test_a_student_with_dropout_resumes_bit_for_bit(make_trial: MakeTrial, digits: ImageData, tmp_path: Path) -> None:
    make = small_mobilenet(make_trial, digits)
    whole = make()
    expected = [report.val_loss for report in whole.fit()]
    before = next(make(checkpoint=tmp_path / "cut.pt").fit())
    resumed = make(checkpoint=tmp_path / "cut.pt")
    found = [before.val_loss, *(report.val_loss for report in resumed.fit())]
    assert found == expected
    assert equal(resumed.student.network.state_dict(), whole.student.network.state_dict())


def test_counting_flops_does_not_move_the_training(make_trial: MakeTrial, digits: ImageData) -> None:
    make = small_mobilenet(make_trial, digits)
    given_count, own_count = make(), make(flops=None)
    assert [report.val_loss for report in given_count.fit()] == [report.val_loss for report in own_count.fit()]


def test_a_trial_that_died_at_its_end_reports_it_again_and_trains_no_more(
    make_trial: MakeTrial, tmp_path: Path
) -> None:
    """Its last report may not have arrived; what it costs to say it again is all that this attempt has spent."""
    *_, last = make_trial(checkpoint=tmp_path / "trial.pt").fit()
    before = state_at(tmp_path / "trial.pt")
    again = list(make_trial(checkpoint=tmp_path / "trial.pt").fit())
    without = MEASURED | CUMULATIVE
    assert [outcome(report, without=without) for report in again] == [outcome(last, without=without)]
    assert {getattr(again[0], name) for name in [*CUMULATIVE, "train_s", "eval_s", "teacher_s"]} == {0}
    assert equal(state_at(tmp_path / "trial.pt"), before)


def test_a_report_comes_after_its_checkpoint(make_trial: MakeTrial, tmp_path: Path) -> None:
    """Whoever has the report may kill the trial: the epoch is not lost."""
    for report in make_trial(checkpoint=tmp_path / "trial.pt").fit():
        assert state_at(tmp_path / "trial.pt")["epoch"] == report.epoch


# Which weights are handed in


@pytest.mark.parametrize("rule", ["last", "best"])
def test_the_chosen_weights_are_those_of_the_reported_epoch(rule: str, make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(
        settings={"checkpoint": rule, "recipe.epochs": 5, "recipe.lr": 0.3}, checkpoint=tmp_path / "t.pt"
    )
    weights, accuracies, losses = {}, [], []
    for report in trial.fit():
        state = state_at(tmp_path / "t.pt")
        weights[report.epoch] = state["network"]
        accuracies.append(report.val_score)
        losses.append(report.val_loss)
        best = 1 + accuracies.index(max(accuracies))
        assert report.checkpoint_epoch == (best if rule == "best" else report.epoch)
        assert report.checkpoint_val_score == accuracies[report.checkpoint_epoch - 1]
        assert report.checkpoint_val_loss == losses[report.checkpoint_epoch - 1]
        assert equal(state["chosen"]["weights"], weights[report.checkpoint_epoch])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_best_is_the_earliest_of_the_highest_and_last_is_the_last(accuracies: list[int]) -> None:
    model = nn.Linear(1, 1, bias=False)
    rules = {rule: Chosen(rule=rule) for rule in ("best", "last")}
    for epoch, accuracy in enumerate(accuracies, start=1):
        nn.init.constant_(model.weight, epoch)
        for chosen in rules.values():
            found = Evaluation(loss=epoch / 8, score=accuracy / 4, finite=True, predictions=torch.empty(0))
            chosen.offer(epoch, found, model)
    nn.init.constant_(model.weight, -1)  # training goes on; what was chosen stays as it was
    expected = {"best": 1 + accuracies.index(max(accuracies)), "last": len(accuracies)}
    for rule, chosen in rules.items():
        assert (chosen.epoch, chosen.loss) == (expected[rule], expected[rule] / 8)
        assert chosen.score == accuracies[chosen.epoch - 1] / 4
        assert chosen.state_dict()["weights"]["weight"].item() == expected[rule]


# What a trial may see, and what it must use


def test_a_trial_never_looks_at_the_test_set(make_trial: MakeTrial, digits: ImageData) -> None:
    blind = replace(digits, test=part(digits.test, 0))
    assert outcomes(make_trial(data=blind)) == outcomes(make_trial())


def test_validation_images_do_not_train(make_trial: MakeTrial, digits: ImageData) -> None:
    """Batch norm would learn from them if evaluation were a forward pass like any other."""
    other = ImageSet(images=255 - digits.validation.images, labels=digits.validation.labels)
    first, second = make_trial(), make_trial(data=replace(digits, validation=other))
    assert [report.train_loss for report in first.fit()] == [report.train_loss for report in second.fit()]
    assert equal(first.student.network.state_dict(), second.student.network.state_dict())


def test_training_leaves_the_teacher_as_it_was(make_trial: MakeTrial) -> None:
    trial = make_trial()
    before = {name: tensor.clone() for name, tensor in trial.teacher.state_dict().items()}
    list(trial.fit())
    assert equal(trial.teacher.state_dict(), before)


def test_alpha_of_the_search_space_goes_before_the_scenarios(make_trial: MakeTrial) -> None:
    searched = make_trial("grid", params={"tau": 4.0, "alpha": 0.5})
    fixed = make_trial("grid", params={"tau": 4.0}, settings={"alpha": 0.5})
    default = make_trial("grid", params={"tau": 4.0})
    assert searched.spec.alpha == 0.5
    found, expected, other = (outcomes(trial) for trial in (searched, fixed, default))
    assert found == expected
    assert found != other


def test_tau_matters_through_alpha_alone(make_trial: MakeTrial) -> None:
    """With α = 0 the student learns from the labels only, and every τ gives the same weights, bit for bit."""

    def weights(tau: float, alpha: float) -> dict[str, Tensor]:
        trial = make_trial("grid", params={"tau": tau, "alpha": alpha})
        list(trial.fit())
        return trial.student.network.state_dict()

    assert equal(weights(2.0, 0.0), weights(20.0, 0.0))
    assert not equal(weights(2.0, 0.95), weights(20.0, 0.95))


def test_a_trial_needs_no_ray() -> None:
    program = "import sys, tune_kd.training.trial, tune_kd.training.teacher; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
