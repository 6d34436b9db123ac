"""The terms of a synthesis: against float64 values worked out with NumPy, their gradients against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from tune_kd.synthesis.batch_norms import batch_norms, watched
from tune_kd.synthesis.terms import clamped_divergence, contrastive, disagreement, jensen_shannon, total_variation
from tune_kd.synthesis.views import global_view, local_view, shifted


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).requires_grad_()


def teacher(seed: int = 0) -> nn.Module:
    """Two batch norms that have met images, in float64."""
    torch.manual_seed(seed)
    made = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)
    ).double()
    for _ in range(20):
        made(torch.randn(16, 1, 6, 6, dtype=torch.float64))
    return made.eval().requires_grad_(False)


def test_total_variation_is_the_mean_difference_of_neighbours_in_four_directions() -> None:
    images = drawn(3, 2, 5, 7)
    pixels = images.detach().numpy()
    means = [
        np.abs(pixels[..., 1:] - pixels[..., :-1]).mean(),
        np.abs(pixels[..., 1:, :] - pixels[..., :-1, :]).mean(),
        np.abs(pixels[..., 1:, 1:] - pixels[..., :-1, :-1]).mean(),
        np.abs(pixels[..., 1:, :-1] - pixels[..., :-1, 1:]).mean(),
    ]
    assert total_variation(images).item() == pytest.approx(np.mean(means), rel=1e-12)
    assert torch.autograd.gradcheck(total_variation, (images,))
    assert total_variation(torch.full((2, 1, 4, 4), 0.3)).item() == 0.0


def test_the_jensen_shannon_divergence_is_that_of_its_definition() -> None:
    one, other = drawn(6, 5), drawn(6, 5, seed=1)
    p, q = (np.exp(z) / np.exp(z).sum(1, keepdims=True) for z in (one.detach().numpy(), other.detach().numpy()))
    m = (p + q) / 2
    expected = ((p * np.log(p / m)).sum(1) / 2 + (q * np.log(q / m)).sum(1) / 2).mean()
    assert jensen_shannon(one, other).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(jensen_shannon, (one, other))


def test_the_jensen_shannon_divergence_lies_between_0_and_ln_2() -> None:
    logits = drawn(8, 10)
    assert jensen_shannon(logits, logits).item() == pytest.approx(0.0, abs=1e-12)
    apart = torch.tensor([[80.0, -80.0]], dtype=torch.float64)
    assert jensen_shannon(apart, apart.flip(1)).item() == pytest.approx(math.log(2), rel=1e-9)
    assert 0 < jensen_shannon(logits, logits.flip(1)).item() < math.log(2)


def test_the_clamped_divergence_is_that_of_the_official_codes() -> None:
    one, other = drawn(6, 5), drawn(6, 5, seed=1)
    p, q = (np.exp(z / 3) / np.exp(z / 3).sum(1, keepdims=True) for z in (one.detach().numpy(), other.detach().numpy()))
    p, q, m = (np.clip(values, 0.01, 0.99) for values in (p, q, (p + q) / 2))
    expected = ((m * np.log(m / p)).sum(1) / 2 + (m * np.log(m / q)).sum(1) / 2).mean()
    assert clamped_divergence(one, other).item() == pytest.approx(expected, rel=1e-12)


def test_the_students_disagreement_counts_where_both_name_the_same_class() -> None:
    teacher_says, student_says = drawn(40, 3), drawn(40, 3, seed=1)
    p, q = (
        np.exp(z) / np.exp(z).sum(1, keepdims=True)
        for z in (teacher_says.detach().numpy(), student_says.detach().numpy())
    )
    alike = p.argmax(1) == q.argmax(1)
    assert 0 < alike.sum() < 40
    expected = (alike * (p * np.log(p / q)).sum(1)).mean()
    assert disagreement(teacher_says, student_says).item() == pytest.approx(expected, rel=1e-12)


def test_the_contrastive_term_is_a_cross_entropy_of_similarities_with_bank_and_batch_averaged_apart() -> None:
    one, other = (nn.functional.normalize(drawn(7, 4, seed=seed), dim=1) for seed in (0, 1))
    similar = one.detach().numpy() @ other.detach().numpy().T / 0.2
    lost = -np.log(np.exp(similar).diagonal() / np.exp(similar).sum(1))
    expected = lost[:3].mean() + lost[3:].mean()
    assert contrastive(one, other, 0.2, 3).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda a: contrastive(a, other.detach(), 0.2, 3), (one.detach().requires_grad_(),))
    alone = np.log(np.exp(similar[:3, :3]).sum(1)) - similar[:3, :3].diagonal()
    assert contrastive(one[:3], other[:3], 0.2, 3).item() == pytest.approx(alone.mean(), rel=1e-12)


def test_identical_views_find_each_other_better_than_shuffled_ones() -> None:
    views = nn.functional.normalize(drawn(16, 8), dim=1)
    assert contrastive(views, views, 0.1, 16) < contrastive(views, views.roll(1, 0), 0.1, 16)


def test_the_distance_of_batch_norms_is_that_of_numpy_and_has_the_gradient_of_differences() -> None:
    network, images = teacher(), drawn(4, 1, 6, 6)

    def distance(pixels: torch.Tensor) -> torch.Tensor:
        with watched(network) as inputs:
            network(pixels)
            return inputs.distance(inputs.statistics())

    first = network[0](images).detach().numpy()
    second = network[3](network[2](network[1](network[0](images)))).detach().numpy()
    expected = 0.0
    for layer, met in zip(batch_norms(network), (first, second), strict=True):
        mean, variance = met.mean((0, 2, 3)), met.var((0, 2, 3))
        expected += np.linalg.norm(variance - layer.running_var.numpy())
        expected += np.linalg.norm(mean - layer.running_mean.numpy())
    assert distance(images).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(distance, (images,))


def test_a_batch_with_the_statistics_of_training_has_no_distance() -> None:
    layer = nn.BatchNorm2d(2).eval()
    images = torch.randn(8, 2, 4, 4)
    layer.running_mean.copy_(images.mean((0, 2, 3)))
    layer.running_var.copy_(images.var((0, 2, 3), correction=0))
    network = nn.Sequential(layer)
    with watched(network) as inputs:
        network(images)
        assert inputs.distance(inputs.statistics()).item() == pytest.approx(0.0, abs=1e-6)


def test_no_hook_is_left_on_a_teacher_even_if_the_synthesis_breaks_off() -> None:
    network = teacher()
    with pytest.raises(RuntimeError, match="broken"), watched(network):
        raise RuntimeError("broken")
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_gradients_pass_through_every_view_and_none_moves_an_image_out_of_its_range() -> None:
    for view in (
        lambda x: shifted(x, 0.25, True),
        lambda x: global_view(x, 0.25, True),
        lambda x: local_view(x, 0.25, True),
    ):
        images = torch.rand(5, 3, 8, 8, requires_grad=True)
        seen = view(images)
        assert seen.shape == images.shape
        assert ((seen.detach() >= 0) & (seen.detach() <= 1 + 1e-6)).all()
        seen.sum().backward()
        assert images.grad is not None
        assert images.grad.abs().sum() > 0


def test_a_local_view_of_the_whole_area_is_the_image_or_its_mirror_image() -> None:
    images = torch.rand(12, 1, 8, 8)
    for image, seen in zip(images, local_view(images, 1.0, True), strict=True):
        same = torch.allclose(image, seen, atol=1e-5) or torch.allclose(image.flip(2), seen, atol=1e-5)
        assert same
