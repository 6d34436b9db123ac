"""Pools that grow while a student is trained: made against it, paid by its trial, the same after an interruption."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import InputError
from tune_kd.meter import flops
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.plan import plan_study
from tune_kd.synthesis.growing import GrowingPool
from tune_kd.synthesis.pool import PoolFiles, without_images
from tune_kd.synthesis.synthesise import Synthesiser, wanted_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher
from tune_kd.training.trial import Trial

CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.5)
ADVERSARIAL = {
    "synthesis.images": 24,
    "synthesis.batch_size": 8,
    "recipe.batch_size": 8,
    "synthesis.deep_inversion.steps": 3,
    "synthesis.deep_inversion.adversarial": 1.0,
    "synthesis.cmi.steps": 2,
    "synthesis.cmi.channels": 4,
    "synthesis.cmi.adversarial": 0.5,
    "synthesis.fast.steps": 2,
    "synthesis.fast.channels": 4,
    "synthesis.fast.warmup": 1,
    "synthesis.fast.adversarial": 1.1,
}
MakeGrowing = Callable[..., tuple[Trial, GrowingPool]]


@pytest.fixture
def make(
    scenario: Scenario,
    digits: ImageData,
    teacher: Teacher,
    make_trial: Callable[..., Trial],
    meter: Callable[..., Meter],
    counted: NetworkFlops,
) -> MakeGrowing:
    """make("cmi", folder): a trial of three epochs whose pool of three batches is kept in ``folder``."""

    def made(method: str, folder: Path, **more: Any) -> tuple[Trial, GrowingPool]:
        settings = {"synthesis.method": method, **ADVERSARIAL, **more}
        chosen = scenario.changed(settings)
        seen = without_images(digits, chosen)
        synthesiser = Synthesiser(
            wanted_of(chosen, seen, 1),
            teacher.network(chosen, digits),
            PoolFiles((folder / "pool").joinpath),
            device=CPU,
            meter=meter(),
            carbon=CARBON,
            training_images=lambda: pytest.fail("training images were read"),
        )
        pool = GrowingPool(synthesiser, chosen.recipe.epochs)
        trial = make_trial(settings=settings, data=seen, checkpoint=folder / "trial.pt")
        return Trial(trial.spec, seen, trial.teacher, trial.place, counted, growing=pool), pool

    return made


@pytest.mark.parametrize("method", ["deep-inversion", "cmi", "fast"])
def test_each_epoch_has_its_share_of_the_batches_and_pays_for_them(
    make: MakeGrowing, tmp_path: Path, method: str
) -> None:
    trial, pool = make(method, tmp_path)
    reports, there = [], []
    for report in trial.fit():
        reports.append(report)
        there.append(len(pool.images()))
    assert there == [24, 24, 24], "an epoch always has as many images"
    spent = [report.flops_synthesis for report in reports]
    assert 0 < spent[0] < spent[1] < spent[2]
    for report in reports:
        parts = ("forward", "backward", "teacher", "eval", "policy", "synthesis")
        assert report.flops_executed == sum(getattr(report, f"flops_{part}") for part in parts)
        assert report.other_s == pytest.approx(report.duration_s - report.train_s - report.eval_s - report.synthesis_s)


@pytest.mark.parametrize("method", ["deep-inversion", "cmi", "fast"])
def test_a_trial_that_dies_anywhere_goes_on_to_the_same_images_and_results(
    make: MakeGrowing, tmp_path: Path, method: str
) -> None:
    whole, pool = make(method, tmp_path / "whole")
    *_, expected = whole.fit()
    first, _ = make(method, tmp_path / "broken")
    list(itertools.islice(first.fit(), 2))
    second, resumed = make(method, tmp_path / "broken")
    *_, last = second.fit()
    assert (last.epoch, last.train_loss, last.val_loss) == (3, expected.train_loss, expected.val_loss)
    assert (pool.images().images == resumed.images().images).all()


def test_images_depend_on_the_student_that_they_are_made_against(make: MakeGrowing, tmp_path: Path) -> None:
    enough = {"synthesis.deep_inversion.steps": 20}  # in fewer, the first noise may stay the best
    one, other = (make("deep-inversion", tmp_path / name, **enough) for name in ("one", "other"))
    with torch.no_grad():
        for trial, sign in ((one[0], 1), (other[0], -1)):
            trial.student.network[-1].weight.mul_(100 * sign)  # a student that is sure of itself
    for trial, pool in (one, other):
        before = {name: tensor.clone() for name, tensor in trial.student.network.state_dict().items()}
        pool.grow(0, trial.student.network)
        assert all(torch.equal(before[name], tensor) for name, tensor in trial.student.network.state_dict().items())
        assert trial.student.network.training
    assert not (one[1].images().images == other[1].images().images).all()


def test_the_flops_have_the_student_in_them(make: MakeGrowing, tmp_path: Path, counted: NetworkFlops) -> None:
    trial, pool = make("deep-inversion", tmp_path)
    cost = pool.grow(0, trial.student.network)
    first = flops.count(trial.student.network[:1], (1, 8, 8)).forward
    through_both = counted.teacher.forward + counted.student.forward
    assert first > 0
    assert cost.flops == 3 * 8 * 2 * through_both, "forward, and backward to the image but to no weight"


def test_a_policy_that_holds_images_out_and_a_synthetic_validation_are_refused_beforehand() -> None:
    settings: dict[str, Any] = {"synthesis.deep_inversion.adversarial": 1.0}
    with pytest.raises(InputError, match="policy 'meta-kd' holds 10% of the training images out"):
        plan_study(policies=["meta-kd"], scenario="digits-data-free", settings=settings)
    with pytest.raises(InputError, match="validation 'synthetic' takes images of a pool that is complete"):
        plan_study(policies=["fixed"], scenario="digits-data-free", validation="synthetic", settings=settings)
