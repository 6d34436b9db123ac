"""The losses of detection against torchvision's SSD, and against sums over boxes by numpy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy_losses import Array, slope
from scenes import CLASSES, SIZE, scene
from scipy.special import log_softmax
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from policies.base import Softening
from tune_kd.data.detection.objects import Objects
from tune_kd.losses import DISTILLATIONS
from tune_kd.tasks.detection.losses import (
    Choice,
    bounded_box_loss,
    box_loss,
    class_loss,
    cross_entropies,
    mean_over,
    mined,
    positives,
)
from tune_kd.tasks.detection.matching import match

SEEDS = range(5)


def torchvisions_losses(objects: Objects, boxes: Tensor, logits: Tensor, regressions: Tensor) -> dict[str, Tensor]:
    """``SSD.compute_loss`` of the objects that are not difficult, matched as ``SSD.forward`` does it."""
    ssd: Any = SSD(nn.Identity(), nn.Identity(), (SIZE, SIZE), CLASSES, head=nn.Identity())
    easy = [~difficult for difficult in objects.difficult]
    targets = [
        {"boxes": box[kept], "labels": label[kept]}
        for box, label, kept in zip(objects.boxes, objects.labels, easy, strict=True)
    ]
    matched = [
        ssd.proposal_matcher(box_iou(target["boxes"], boxes))
        if len(target["boxes"])
        else torch.full((len(boxes),), -1, dtype=torch.int64)
        for target in targets
    ]
    outputs = {"cls_logits": logits, "bbox_regression": regressions}
    found: dict[str, Tensor] = ssd.compute_loss(targets, outputs, [boxes] * len(targets), matched)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_tasks_own_loss_and_its_gradient_are_torchvisions(seed: int) -> None:
    objects, boxes, *outputs = scene(seed)
    logits, regressions = (one.float().requires_grad_() for one in outputs)
    expected = torchvisions_losses(objects, boxes, logits, regressions)
    classes, targets = match(objects, boxes)
    of_classes, of_boxes = class_loss(logits, classes), box_loss(regressions, targets, classes)
    assert of_classes.item() == pytest.approx(expected["classification"].item(), rel=1e-5)
    assert of_boxes.item() == pytest.approx(expected["bbox_regression"].item(), rel=1e-5)
    ours = torch.autograd.grad(of_classes + of_boxes, [logits, regressions])
    theirs = torch.autograd.grad(sum(expected.values()), [logits, regressions])  # type: ignore[arg-type]
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-8)


def test_images_without_objects_are_all_background_and_give_no_loss() -> None:
    _, boxes, logits, regressions = scene()
    nothing = Objects(
        boxes=(torch.empty(0, 4),) * 3,
        labels=(torch.empty(0, dtype=torch.int64),) * 3,
        difficult=(torch.empty(0, dtype=torch.bool),) * 3,
    )
    classes, targets = match(nothing, boxes)
    assert not classes.any()
    assert not targets.any()
    assert positives(classes) == 1
    assert class_loss(logits, classes) == 0  # no positive, so no negative is mined either
    assert box_loss(regressions, targets, classes) == 0


def test_a_box_belongs_to_the_object_it_overlaps_most_and_every_object_has_its_best_box() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 20, 20], [40, 40, 50, 50], [41, 40, 51, 50]])
    # The first object overlaps box 0 by 0.81 and box 1 by 0.2; the second has its best box in 2, at an IoU of 0.25.
    objects = Objects(
        boxes=(torch.tensor([[0.0, 0, 9, 9], [40, 40, 45, 45]]),),
        labels=(torch.tensor([3, 1]),),
        difficult=(torch.tensor([False, False]),),
    )
    classes, targets = match(objects, boxes)
    assert classes.tolist() == [[3, 0, 1, 0]]
    # Offsets of centre and size from the default box, times 10 and 5: Liu et al.'s variances.
    expected = [10 * -0.05, 10 * -0.05, 5 * np.log(0.9), 5 * np.log(0.9)]
    np.testing.assert_allclose(targets[0, 0].numpy(), expected, rtol=1e-5)
    assert not targets[0, 1].any()


def test_nothing_is_trained_on_a_difficult_object() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [40, 40, 50, 50]])
    objects = Objects(boxes=(boxes.clone(),), labels=(torch.tensor([1, 2]),), difficult=(torch.tensor([True, False]),))
    assert match(objects, boxes).classes.tolist() == [[0, 2]]


def test_three_negatives_are_mined_for_each_positive_of_their_image_the_hardest() -> None:
    classes = torch.zeros(2, 12, dtype=torch.int64)
    classes[0, :2] = 1
    each = torch.arange(24.0).view(2, 12)
    expected = torch.zeros(2, 12, dtype=torch.bool)
    expected[0, :2] = expected[0, 6:] = True
    assert torch.equal(mined(each, classes), expected)


def test_where_negatives_are_few_all_are_mined_and_each_box_counts_once() -> None:
    logits, classes = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([[1, 2, 0, 0]])
    assert mined(cross_entropies(logits, classes), classes).all()
    assert class_loss(logits, classes).item() == pytest.approx(cross_entropies(logits, classes).sum().item() / 2)


def test_the_bounded_regression_holds_the_boxes_of_which_the_teacher_knows_more() -> None:
    classes, targets = torch.tensor([[1, 2, 0]]), torch.zeros(1, 3, 4)
    student = torch.tensor([[[2.0, 0, 0, 0], [1, 1, 0, 0], [9, 9, 9, 9]]])
    teacher = torch.tensor([[[1.0, 1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]]])
    # Box 0: 4 > 2, so that it counts; box 1: 2 < 9; box 2 is background. ν·4 / 2 positives.
    assert bounded_box_loss(student, teacher, targets, classes).item() == pytest.approx(0.5 * 4 / 2)
    assert bounded_box_loss(teacher, teacher, targets, classes) == 0


def chosen_by_numpy(choice: Choice, student: Array, classes: np.ndarray) -> np.ndarray:
    """Which boxes count, image by image."""
    if choice == "all":
        return np.ones_like(classes, dtype=bool)
    chosen = classes > 0
    if choice == "mined":
        entropies = -np.take_along_axis(log_softmax(student, -1), classes[..., None], -1)[..., 0]
        for image, positive in enumerate(classes > 0):
            ranked = [box for box in np.argsort(-entropies[image]) if not positive[box]]
            chosen[image, ranked[: 3 * positive.sum()]] = True
    return chosen


def loss_by_numpy(loss: str, student: Array, teacher: Array, tau: Array) -> Array:
    """A distillation term of each box, [B, A]."""
    if loss in ("cmc", "cmc-tau"):
        by = tau if loss == "cmc-tau" else np.array(1.0)
        matched: Array = (((student - teacher) / by) ** 2).mean(-1)
        return matched
    by = np.array(1.0) if loss == "dml" else tau
    log_student, log_teacher = log_softmax(student / by, -1), log_softmax(teacher / by, -1)
    kl: Array = (np.exp(log_teacher) * (log_teacher - log_student)).sum(-1)
    return kl * (by[..., 0] ** 2 if by.ndim else by**2) if loss == "hkd" else kl


@pytest.mark.parametrize("per_image", [False, True], ids=["one τ", "a τ for each image"])
@pytest.mark.parametrize("background_weight", [1.0, 1.5])
@pytest.mark.parametrize("choice", ["mined", "positives", "all"])
@pytest.mark.parametrize("loss", DISTILLATIONS)
def test_a_distillation_term_and_its_gradient_are_sums_over_the_chosen_boxes(
    loss: str, choice: Choice, background_weight: float, per_image: bool
) -> None:
    objects, boxes, logits, _ = scene(1)
    teacher = 2 * scene(2).logits
    classes = match(objects, boxes).classes
    tau = np.array([2.0, 3.0, 5.0]).reshape(3, 1, 1) if per_image else np.array(4.0)
    chosen = chosen_by_numpy(choice, logits.numpy(), classes.numpy())
    weights = np.where(classes.numpy() > 0, 1, background_weight) * chosen
    count = classes.numel() if choice == "all" else (classes > 0).sum().item()

    def expected(at: Array) -> float:
        return float((weights * loss_by_numpy(loss, at, teacher.numpy(), tau)).sum() / count)

    student = logits.clone().requires_grad_()
    taus = torch.tensor(tau)
    mean = mean_over(choice, student, classes, background_weight)
    found = DISTILLATIONS[loss](student, teacher, Softening(taus, taus, taus.square()), "batchmean", mean)
    (gradient,) = torch.autograd.grad(found, [student])
    assert found.item() == pytest.approx(expected(logits.numpy()), rel=1e-9)
    some = np.concatenate([np.argwhere(chosen)[:2], np.argwhere(~chosen)[:1]])
    for image, box in some:

        def of_box(values: Array, image: int = image, box: int = box) -> float:
            moved = logits.numpy().copy()
            moved[image, box] = values
            return expected(moved)

        slopes = slope(of_box, logits.numpy()[image, box])
        np.testing.assert_allclose(gradient[image, box].numpy(), slopes, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("choice", ["mined", "positives", "all"])
def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn_from_it(choice: Choice) -> None:
    objects, boxes, logits, _ = scene()
    classes, tau = match(objects, boxes).classes, torch.tensor(4.0, dtype=torch.float64)
    for loss, term in DISTILLATIONS.items():
        student = logits.clone().requires_grad_()
        mean = mean_over(choice, student, classes, 1.5)
        found = term(student, logits, Softening(tau, tau, tau**2), "batchmean", mean)
        (gradient,) = torch.autograd.grad(found, [student])
        assert found.item() == pytest.approx(0, abs=1e-12), loss
        assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("loss", ["hkd", "dml-tau"])
def test_a_constant_on_the_logits_of_a_box_changes_nothing(loss: str) -> None:
    objects, boxes, logits, _ = scene()
    classes, tau = match(objects, boxes).classes, torch.tensor(3.0, dtype=torch.float64)
    shifted = logits + torch.randn(
        *logits.shape[:2], 1, dtype=torch.float64, generator=torch.Generator().manual_seed(4)
    )

    def of(student: Tensor) -> float:
        mean = mean_over("mined", student, classes, 1.0)
        return float(DISTILLATIONS[loss](student, scene(3).logits, Softening(tau, tau, tau**2), "batchmean", mean))

    assert of(shifted) == pytest.approx(of(logits), rel=1e-12)
    assert class_loss(shifted, classes).item() == pytest.approx(class_loss(logits, classes).item(), rel=1e-6)


def test_the_gradient_of_hintons_term_is_flat_in_tau_for_large_tau() -> None:
    """For large τ it goes to (z_s − z_t)/(n·N), the logits centred: twice the τ changes it by little."""
    objects, boxes, logits, _ = scene()
    classes = match(objects, boxes).classes

    def gradient(at: float) -> Tensor:
        student, tau = logits.clone().requires_grad_(), torch.tensor(at, dtype=torch.float64)
        mean = mean_over("positives", student, classes, 1.0)
        term = DISTILLATIONS["hkd"](student, scene(3).logits, Softening(tau, tau, tau**2), "batchmean", mean)
        return torch.autograd.grad(term, [student])[0]

    apart = logits - scene(3).logits
    limit = (apart - apart.mean(-1, keepdim=True)) / (CLASSES * positives(classes))
    positive = classes > 0
    torch.testing.assert_close(gradient(1e3)[positive], limit[positive], rtol=0.02, atol=1e-4)
    torch.testing.assert_close(gradient(2e3)[positive], gradient(1e3)[positive], rtol=0.02, atol=1e-4)
