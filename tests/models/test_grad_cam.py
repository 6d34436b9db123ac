"""Grad-CAM against the form that it has in front of an average pool, and what it must leave as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tune_kd.errors import InputError
from tune_kd.models import MODELS, build
from tune_kd.models.grad_cam import explain, last_spatial_layer

SIZES = {"digits-teacher": (1, 8), "digits-student": (1, 8)}


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(3)
    channels, size = SIZES.get(name, (3, 32))
    network = build(name, classes=10, channels=channels, image_size=size).eval()
    return network, torch.randn(4, channels, size, size)


def output_of(network: nn.Module, layer: str, images: Tensor) -> Tensor:
    """What a layer gives, by a hook of the test's own."""
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _m, _i, output: kept.append(output.clone()))
    with torch.no_grad():
        network(images)
    hook.remove()
    return kept[-1]


@pytest.mark.parametrize(
    ("name", "layer", "classifier"),
    [
        ("mobilenetv2", "features", "classifier.1"),
        ("resnet18", "layer4", "fc"),
        ("shufflenetv2", "conv5", "fc"),
        ("digits-student", "5", "7"),
    ],
)
def test_in_front_of_pool_and_classifier_the_map_is_the_classifiers_sum(name: str, layer: str, classifier: str) -> None:
    network, images = made(name)
    classes = torch.tensor([0, 3, 3, 9])
    found = explain(network.double(), images.double(), classes)
    assert found.layer == layer
    activation, weights = output_of(network, layer, images.double()), network.get_submodule(classifier).weight
    height, width = activation.shape[2:]
    expected = (weights[classes][:, :, None, None] * activation).sum(dim=1).relu() / (height * width)
    assert found.maps is not None
    torch.testing.assert_close(found.maps, expected.float(), rtol=1e-5, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(found.logits, network(images.double()).float())
    assert expected.max() > 0


@pytest.mark.parametrize("name", MODELS)
def test_every_network_has_a_map_a_grid_for_each_image_and_nothing_below_zero(name: str) -> None:
    network, images = made(name)
    found = explain(network, images, torch.arange(4))
    assert found.maps is not None
    assert found.layer is not None
    assert found.maps.shape == (4, *output_of(network, found.layer, images).shape[2:])
    assert found.maps.min() >= 0


def test_nothing_is_left_behind() -> None:
    network, images = made("mobilenetv2")
    network.train()
    network.get_submodule("features.0").eval()
    modes = [module.training for module in network.modules()]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.get_rng_state()
    explain(network, images, torch.arange(4))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_it_works_for_a_frozen_network_where_gradients_are_off(context: Any) -> None:
    network, images = made("resnet18")
    expected = explain(network, images, torch.arange(4))
    network.requires_grad_(False)
    with context():
        found = explain(network, images.clone(), torch.arange(4))
    assert found.maps is not None
    assert expected.maps is not None
    assert torch.equal(found.maps, expected.maps)


class LeftHalf(nn.Sequential):
    """Looks at the left half of an image alone."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(torch.cat([images[..., :8], torch.zeros_like(images[..., 8:])], dim=3))


def test_a_network_that_sees_the_left_half_alone_has_nothing_on_the_right() -> None:
    torch.manual_seed(0)
    network = LeftHalf(nn.Conv2d(3, 8, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    found = explain(network, torch.rand(6, 3, 16, 16), torch.arange(6) % 5)
    assert found.maps is not None
    assert found.maps[..., 8:].abs().max() == 0
    assert found.maps[..., :8].max() > 0


def test_an_activation_in_place_does_not_change_what_the_layer_before_it_gave() -> None:
    torch.manual_seed(1)
    images = torch.randn(2, 3, 4, 4)
    layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    inplace = nn.Sequential(*layers, nn.Linear(4, 2))
    outside = nn.Sequential(layers[0], nn.ReLU(), *layers[2:], inplace[-1])
    found, expected = (explain(network, images, torch.tensor([0, 1]), "0") for network in (inplace, outside))
    assert found.maps is not None
    assert expected.maps is not None
    assert torch.equal(found.maps, expected.maps)


def test_a_network_without_height_and_width_has_logits_and_no_map() -> None:
    network, images = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), torch.rand(2, 3, 2, 2)
    found = explain(network, images, torch.tensor([0, 1]))
    assert (found.maps, found.layer, list(found.logits.shape)) == (None, None, [2, 3])
    assert last_spatial_layer(network, images) is None


def test_a_layer_that_is_not_there_or_has_no_map_is_refused_in_a_line() -> None:
    network, images = made("resnet18")
    with pytest.raises(InputError, match=r"no layer 'layer5'; did you mean 'layer"):
        explain(network, images, torch.arange(4), "layer5")
    with pytest.raises(InputError, match=r"layer 'fc' gives \[4, 10\], which has no map"):
        explain(network, images, torch.arange(4), "fc")
