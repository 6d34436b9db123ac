"""Hinton's loss: values worked out in float64, limits, and what must not change it."""

from __future__ import annotations

import functools
import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from loss_examples import ALPHA, LABELS, STUDENT, TEACHER, centred, common, double, gradient, logit_pairs, loss_of, taus
from torch import Tensor
from torch.nn import functional as F

from policies.base import Softening, hinton
from tune_kd.config.scenario import Scenario
from tune_kd.losses import DISTILLATIONS, REDUCTIONS, softened_kl

hkd = functools.partial(loss_of, "hkd")

CE = 0.20557865810672135
KL = {1.0: 0.5518401340985438, 4.0: 0.04973243667751137}
HKD = {
    (1.0, "batchmean"): (
        0.5345270602989527,
        [
            [-0.08360833326161722, 0.06517097233965194, 0.018437360921965303],
            [0.010745398636879908, -0.28265483139318387, 0.2719094327563039],
        ],
    ),
    (1.0, "classmean"): (
        0.18502830870320824,
        [
            [-0.03144282717738447, 0.024645163982217926, 0.00679766319516656],
            [0.004281967314527738, -0.09231502380798469, 0.08803305649345697],
        ],
    ),
    (4.0, "batchmean"): (
        0.7662119704035089,
        [
            [-0.24620582534820254, 0.07969730836542767, 0.1665085169827748],
            [0.07203946246387152, -0.3081511345860072, 0.23611167212213552],
        ],
    ),
    (4.0, "classmean"): (
        0.26225661207139384,
        [
            [-0.08564199120624623, 0.02948727599080983, 0.056154715215436385],
            [0.024713321923524947, -0.10081379153892576, 0.07610046961540083],
        ],
    ),
}


def kl_by_definition(student: np.ndarray, teacher: np.ndarray, tau_s: float, tau_t: float) -> float:
    """Σ q_t·ln(q_t/q_s) of one sample, the definition."""
    q_s, q_t = (np.exp(z / tau) / np.exp(z / tau).sum() for z, tau in ((student, tau_s), (teacher, tau_t)))
    return float((q_t * np.log(q_t / q_s)).sum())


@pytest.mark.parametrize(("tau", "reduction"), HKD)
def test_hkd_has_the_reference_value_and_gradient(tau: float, reduction: str) -> None:
    student = double(STUDENT).requires_grad_()
    loss = hkd(student, double(TEACHER), torch.tensor(LABELS), common(tau), ALPHA, reduction)
    value, expected = HKD[tau, reduction]
    assert loss.item() == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(gradient(loss, student), double(expected), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("tau", KL)
def test_the_weight_alone_makes_tau_squared_kl_of_kl(tau: float) -> None:
    plain = Softening(double(tau), double(tau), double(1.0))
    assert softened_kl(double(STUDENT), double(TEACHER), plain).mean().item() == pytest.approx(KL[tau], rel=1e-13)
    weighted = softened_kl(double(STUDENT), double(TEACHER), common(tau)).mean().item()
    assert weighted == pytest.approx(tau**2 * KL[tau], rel=1e-13)


def test_alpha_goes_from_pure_cross_entropy_to_pure_distillation() -> None:
    both = double(STUDENT), double(TEACHER), torch.tensor(LABELS), common(4.0)
    assert hkd(*both, 0.0, "batchmean").item() == pytest.approx(CE, rel=1e-13)
    assert hkd(*both, 1.0, "batchmean").item() == pytest.approx(16 * KL[4.0], rel=1e-13)
    assert hkd(*both, 0.5, "batchmean").item() == pytest.approx((16 * KL[4.0] + CE) / 2, rel=1e-13)


@given(logits=logit_pairs(), tau_s=taus, tau_t=taus, weight=st.floats(0, 400))
def test_each_network_has_its_own_temperature(
    logits: tuple[Tensor, Tensor, Tensor], tau_s: float, tau_t: float, weight: float
) -> None:
    student, teacher, _ = logits
    found = softened_kl(student, teacher, Softening(double(tau_s), double(tau_t), double(weight)))
    expected = [
        weight * kl_by_definition(s, t, tau_s, tau_t) for s, t in zip(student.numpy(), teacher.numpy(), strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-9, abs=1e-11)


@given(logits=logit_pairs(), tau=taus)
def test_the_divergence_is_never_negative(logits: tuple[Tensor, Tensor, Tensor], tau: float) -> None:
    student, teacher, _ = logits
    assert (softened_kl(student, teacher, common(tau)) >= -1e-11).all()


@given(logits=logit_pairs(largest=3.0), tau=st.sampled_from([1e2, 1e3, 1e4]))
def test_for_a_high_temperature_it_is_half_the_variance_of_the_logit_difference(
    logits: tuple[Tensor, Tensor, Tensor], tau: float
) -> None:
    student, teacher, _ = logits
    limit = (centred(student - teacher).square().sum(dim=1) / (2 * student.shape[1])).mean().item()
    # By Taylor's theorem the rest is a third cumulant over 2τ, and the logits of a row span at most 6.
    found = softened_kl(student, teacher, common(tau)).mean().item()
    assert found == pytest.approx(limit, abs=6**3 / tau, rel=0)


@given(logits=logit_pairs(), data=st.data())
def test_a_temperature_for_each_sample_multiplies_before_the_mean(
    logits: tuple[Tensor, Tensor, Tensor], data: st.DataObject
) -> None:
    student, teacher, labels = logits
    each = data.draw(st.lists(taus, min_size=len(labels), max_size=len(labels)))
    together = hkd(student, teacher, labels, common([[tau] for tau in each]), ALPHA, "batchmean")
    alone = [
        hkd(student[i : i + 1], teacher[i : i + 1], labels[i : i + 1], common(tau), ALPHA, "batchmean").item()
        for i, tau in enumerate(each)
    ]
    assert together.item() == pytest.approx(math.fsum(alone) / len(alone), rel=1e-10, abs=1e-11)


@given(logits=logit_pairs(), tau=taus, reduction=st.sampled_from(REDUCTIONS), data=st.data())
def test_a_constant_added_to_a_row_of_logits_changes_nothing(
    logits: tuple[Tensor, Tensor, Tensor], tau: float, reduction: str, data: st.DataObject
) -> None:
    student, teacher, labels = logits
    constants = arrays(np.float64, (len(labels), 1), elements=st.floats(-100, 100))
    moved, moved_teacher = (z + torch.from_numpy(data.draw(constants)) for z in (student, teacher))
    student.requires_grad_()
    moved.requires_grad_()
    loss = hkd(student, teacher, labels, common(tau), ALPHA, reduction)
    same = hkd(moved, moved_teacher, labels, common(tau), ALPHA, reduction)
    assert same.item() == pytest.approx(loss.item(), rel=1e-9, abs=1e-9)
    slope = gradient(loss, student)
    torch.testing.assert_close(gradient(same, moved), slope, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(slope.sum(dim=1), torch.zeros(len(labels), dtype=torch.float64), rtol=0, atol=1e-10)


@given(logits=logit_pairs(), tau=taus)
def test_a_student_that_equals_its_teacher_has_nothing_to_learn_from_it(
    logits: tuple[Tensor, Tensor, Tensor], tau: float
) -> None:
    student, _, labels = logits
    student.requires_grad_()
    loss = hkd(student, student.detach().clone(), labels, common(tau), 1.0, "batchmean")
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert gradient(loss, student).abs().max().item() <= 1e-12 * tau


@given(logits=logit_pairs(largest=3.0), tau=st.sampled_from([20.0, 200.0, 2000.0]))
def test_the_gradient_is_flat_in_the_temperature(logits: tuple[Tensor, Tensor, Tensor], tau: float) -> None:
    student, teacher, labels = logits
    student.requires_grad_()
    slope = gradient(hkd(student, teacher, labels, common(tau), 1.0, "batchmean"), student)
    # Its limit does not hold τ at all; without the weight τ² it would vanish as 1/τ².
    limit = centred(student - teacher).detach() / (student.shape[1] * len(labels))
    torch.testing.assert_close(slope, limit, rtol=0, atol=6**2 / tau)


@pytest.mark.parametrize(("classes", "alpha"), [(10, 0.655), (100, 0.160), (200, 0.087)])
def test_a_mean_over_classes_is_a_smaller_alpha(classes: int, alpha: float) -> None:
    """The table of the paper's α = 0.95 with its code's reduction: the same direction of descent."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, classes, generator=generator, dtype=torch.float64)
    student.requires_grad_()
    labels = torch.arange(4)
    mean = gradient(hkd(student, teacher, labels, common(4.0), 0.95, "classmean"), student)
    smaller = gradient(hkd(student, teacher, labels, common(4.0), alpha, "batchmean"), student)
    cosine = F.cosine_similarity(mean.flatten(), smaller.flatten(), dim=0).item()
    assert cosine == pytest.approx(1, abs=1e-4)  # α is given to three digits


@given(logits=logit_pairs(), tau=taus, reduction=st.sampled_from(REDUCTIONS))
def test_a_batch_repeated_has_the_same_mean(logits: tuple[Tensor, Tensor, Tensor], tau: float, reduction: str) -> None:
    once = hkd(*logits, common(tau), ALPHA, reduction).item()
    student, teacher, labels = (torch.cat([part, part]) for part in logits)
    twice = hkd(student, teacher, labels, common(tau), ALPHA, reduction).item()
    assert twice == pytest.approx(once, rel=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_float32(dtype: torch.dtype, reduction: str) -> None:
    generator = torch.Generator().manual_seed(1)
    student, teacher = (3 * torch.randn(2, 32, 10, generator=generator)).to(dtype)
    labels, softening = torch.arange(32) % 10, hinton(torch.tensor(20.0))
    loss = hkd(student, teacher, labels, softening, ALPHA, reduction)
    assert loss.dtype == torch.float32
    assert loss.item() == hkd(student.float(), teacher.float(), labels, softening, ALPHA, reduction).item()


@given(logits=logit_pairs(largest=1e4), tau=st.sampled_from([1.0, 2.0, 20.0]))
def test_logits_of_any_size_have_a_finite_loss_and_gradient(logits: tuple[Tensor, Tensor, Tensor], tau: float) -> None:
    student, teacher, labels = logits[0].float().requires_grad_(), logits[1].float(), logits[2]
    loss = hkd(student, teacher, labels, hinton(torch.tensor(tau)), ALPHA, "batchmean")
    assert loss.isfinite()
    assert gradient(loss, student).isfinite().all()


@given(logits=logit_pairs(), tau=taus)
def test_a_step_against_the_gradient_lowers_the_loss(logits: tuple[Tensor, Tensor, Tensor], tau: float) -> None:
    student, teacher, labels = logits
    student.requires_grad_()
    loss = hkd(student, teacher, labels, common(tau), ALPHA, "batchmean")
    slope = gradient(loss, student)
    assume(slope.norm() > 1e-6)
    lower = hkd((student - 1e-4 * slope).detach(), teacher, labels, common(tau), ALPHA, "batchmean")
    assert lower.item() < loss.item()


def test_a_scenario_may_name_every_loss_and_reduction_and_no_other() -> None:
    assert get_args(Scenario.model_fields["loss"].annotation) == (*DISTILLATIONS, "ce")  # which has no such term
    assert get_args(Scenario.model_fields["reduction"].annotation) == REDUCTIONS
