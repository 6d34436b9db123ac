"""CMC, DML, their forms with a τ, and plain cross-entropy: values from float64, and how their gradients scale."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_examples import LABELS, STUDENT, TEACHER, centred, common, double, gradient, logit_pairs, loss_of, taus
from torch import Tensor

from policies.base import Softening, hinton
from tune_kd.losses import DISTILLATIONS, REDUCTIONS

Logits = tuple[Tensor, Tensor, Tensor]

CE = (
    0.20557865810672135,
    [
        [-0.10720148270536206, 0.08764519607001835, 0.019556286635343725],
        [0.021005033067033024, 0.05709759969229724, -0.07810263275933027],
    ],
)
KL_AT_1 = (
    0.5518401340985438,
    [
        [-0.08236658855405168, 0.06398811845910635, 0.01837847009494539],
        [0.010205417877398164, -0.3005365382924197, 0.2903311204150215],
    ],
)
KL_AT_4 = (
    0.04973243667751137,
    [
        [-0.015845115211377263, 0.004954937405389918, 0.010890177805987344],
        [0.004670342816481571, -0.02046092201122513, 0.015790579194743554],
    ],
)
SQUARES = (43 / 24, [[-2 / 3, -1 / 6, 1 / 3], [1 / 3, -1 / 2, 1 / 2]])
SQUARES_AT_4 = (43 / 24 / 16, [[-1 / 24, -1 / 96, 1 / 48], [1 / 48, -1 / 32, 1 / 32]])

# What each loss is at τ = 1 and 4: the project's reference vectors.
REFERENCE = {
    ("cmc", 1.0): SQUARES,
    ("cmc", 4.0): SQUARES,
    ("cmc-tau", 1.0): SQUARES,
    ("cmc-tau", 4.0): SQUARES_AT_4,
    ("dml", 1.0): KL_AT_1,
    ("dml", 4.0): KL_AT_1,
    ("dml-tau", 1.0): KL_AT_1,
    ("dml-tau", 4.0): KL_AT_4,
}
IGNORE_TAU = {"cmc": "cmc-tau", "dml": "dml-tau"}


def slope_of(name: str, logits: Logits, softening: Softening, **options: Any) -> Tensor:
    """The gradient of a loss with respect to the student's logits, [B, n]."""
    student = logits[0].clone().requires_grad_()
    return gradient(loss_of(name, student, *logits[1:], softening, **options), student)


@pytest.mark.parametrize(("name", "tau"), REFERENCE)
def test_a_loss_has_the_reference_value_and_gradient(name: str, tau: float) -> None:
    example = double(STUDENT), double(TEACHER), torch.tensor(LABELS)
    value, expected = REFERENCE[name, tau]
    assert loss_of(name, *example, common(tau)).item() == pytest.approx(value, rel=1e-13)
    torch.testing.assert_close(slope_of(name, example, common(tau)), double(expected), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["cmc", "cmc-tau", "dml", "dml-tau"])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.95])
def test_alpha_mixes_the_cross_entropy_into_any_of_them(name: str, alpha: float) -> None:
    example = double(STUDENT), double(TEACHER), torch.tensor(LABELS)
    value, expected = REFERENCE[name, 4.0]
    mixed = loss_of(name, *example, common(4.0), alpha=alpha).item()
    assert mixed == pytest.approx(alpha * value + (1 - alpha) * CE[0], rel=1e-13)
    slope = alpha * double(expected) + (1 - alpha) * double(CE[1])
    torch.testing.assert_close(slope_of(name, example, common(4.0), alpha=alpha), slope, rtol=1e-12, atol=1e-15)


@given(logits=logit_pairs(), tau=taus)
def test_plain_cross_entropy_knows_no_teacher_and_no_temperature(logits: Logits, tau: float) -> None:
    student, teacher, labels = logits
    found = loss_of("ce", student, teacher, labels, common(tau), alpha=0.0)
    assert found.item() == pytest.approx(-student.log_softmax(1)[torch.arange(len(labels)), labels].mean().item())
    assert torch.equal(found, loss_of("ce", student, -teacher, labels, common(2 * tau), alpha=0.0))


def test_plain_cross_entropy_has_the_reference_gradient() -> None:
    example = double(STUDENT), double(TEACHER), torch.tensor(LABELS)
    slope = slope_of("ce", example, common(4.0), alpha=0.0)
    torch.testing.assert_close(slope, double(CE[1]), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("name", "altered"), IGNORE_TAU.items())
@given(logits=logit_pairs(), tau=taus)
def test_the_plain_form_is_the_altered_one_at_a_temperature_of_one(
    name: str, altered: str, logits: Logits, tau: float
) -> None:
    plain = loss_of(name, *logits, common(tau)).item()
    assert plain == pytest.approx(loss_of(altered, *logits, common(1.0)).item(), rel=1e-12)


@given(logits=logit_pairs(), tau=taus)
def test_cmc_with_a_temperature_is_cmc_over_its_square(logits: Logits, tau: float) -> None:
    """So that to tune τ is to tune the weight of the loss, exactly."""
    assert loss_of("cmc-tau", *logits, common(tau)).item() == pytest.approx(
        loss_of("cmc", *logits, common(tau)).item() / tau**2, rel=1e-9, abs=1e-12
    )
    slope, plain = (slope_of(name, logits, common(tau)) for name in ("cmc-tau", "cmc"))
    torch.testing.assert_close(slope, plain / tau**2, rtol=1e-9, atol=1e-12)


@given(logits=logit_pairs(largest=3.0), tau=st.sampled_from([20.0, 200.0, 2000.0]))
def test_the_gradient_of_dml_falls_as_the_square_of_a_high_temperature(logits: Logits, tau: float) -> None:
    student, teacher, labels = logits
    limit = centred(student - teacher) / (student.shape[1] * len(labels))
    slope = slope_of("dml-tau", logits, common(tau))
    torch.testing.assert_close(tau**2 * slope, limit, rtol=0, atol=6**2 / tau)


@given(logits=logit_pairs(), tau=taus)
def test_dml_with_a_temperature_is_hintons_loss_without_its_weight(logits: Logits, tau: float) -> None:
    assert loss_of("hkd", *logits, common(tau)).item() == pytest.approx(
        tau**2 * loss_of("dml-tau", *logits, common(tau)).item(), rel=1e-9, abs=1e-10
    )


@given(logits=logit_pairs(), data=st.data())
def test_each_sample_may_have_a_temperature_of_its_own(logits: Logits, data: st.DataObject) -> None:
    each = data.draw(st.lists(taus, min_size=len(logits[2]), max_size=len(logits[2])))
    for name in ("cmc-tau", "dml-tau"):
        together = loss_of(name, *logits, common([[tau] for tau in each])).item()
        alone = [loss_of(name, *(part[i : i + 1] for part in logits), common(tau)).item() for i, tau in enumerate(each)]
        assert together == pytest.approx(sum(alone) / len(alone), rel=1e-10, abs=1e-11)


@given(logits=logit_pairs(), tau_s=taus, tau_t=taus)
def test_each_network_has_its_own_temperature(logits: Logits, tau_s: float, tau_t: float) -> None:
    student, teacher, labels = logits
    apart = Softening(double(tau_s), double(tau_t), double(123.0))  # neither has a weight
    scaled = student / tau_s, teacher / tau_t, labels
    for name in ("cmc-tau", "dml-tau"):
        found = loss_of(name, *logits, apart).item()
        assert found == pytest.approx(loss_of(name, *scaled, common(1.0)).item(), rel=1e-9, abs=1e-11)


@given(logits=logit_pairs(), tau=taus)
def test_the_reduction_is_of_the_kl_terms_and_cmc_a_mean_over_classes_by_definition(logits: Logits, tau: float) -> None:
    for name, factor in (("dml", logits[0].shape[1]), ("dml-tau", logits[0].shape[1]), ("cmc", 1), ("cmc-tau", 1)):
        batchmean, classmean = (loss_of(name, *logits, common(tau), reduction=each).item() for each in REDUCTIONS)
        assert batchmean == pytest.approx(factor * classmean, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", DISTILLATIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    student, teacher = (3 * torch.randn(2, 32, 10, generator=generator)).to(dtype)
    labels, softening = torch.arange(32) % 10, hinton(torch.tensor(20.0))
    loss = loss_of(name, student, teacher, labels, softening, alpha=0.5)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, loss_of(name, student.float(), teacher.float(), labels, softening, alpha=0.5))
    wider = hinton(double(20.0))
    exact = loss_of(name, student.double(), teacher.double(), labels, wider, alpha=0.5).item()
    assert loss.item() == pytest.approx(exact, rel=2e-5)


@given(logits=logit_pairs(largest=1e4), tau=st.sampled_from([1.0, 2.0, 20.0]))
def test_logits_of_any_size_have_a_finite_loss_and_gradient(logits: Logits, tau: float) -> None:
    for name in DISTILLATIONS:
        student, teacher = logits[0].float().requires_grad_(), logits[1].float()
        loss = loss_of(name, student, teacher, logits[2], hinton(torch.tensor(tau)), alpha=0.5)
        assert loss.isfinite()
        assert gradient(loss, student).isfinite().all()
