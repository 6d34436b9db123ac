from typing import Any

import pytest
import torch
from torch import nn

from tune_kd.errors import InputError
from tune_kd.meter import flops
from tune_kd.models import MODELS, build
from tune_kd.models.wrn import WideResNet

# Parameters and multiply-accumulates for 10 classes at 32×32 RGB: torchvision's networks with the stem for
# 32×32, and Zagoruyko & Komodakis' wide networks (their paper: WRN-40-2 2.2M, WRN-16-1 0.2M parameters), whose
# layers were added up by hand.
AT_32 = {
    "resnet18": (11_173_962, 555_422_720),
    "mobilenetv2": (2_236_682, 87_976_448),
    "shufflenetv2": (1_263_854, 45_002_112),
    "wrn-10-1": (77_850, 12_501_632),
    "wrn-16-1": (175_066, 26_657_408),
    "wrn-16-2": (691_674, 101_106_944),
    "wrn-40-1": (563_930, 83_280_512),
    "wrn-40-2": (2_243_546, 327_599_360),
}
FEATURES = {
    "resnet18": 512,
    "mobilenetv2": 1280,
    "shufflenetv2": 1024,
    "wrn-10-1": 64,
    "wrn-16-1": 64,
    "wrn-16-2": 128,
    "wrn-40-1": 64,
    "wrn-40-2": 128,
}  # that the classifier takes
STEMS = {"resnet18": 64, "mobilenetv2": 32, "shufflenetv2": 24}  # the first convolution's channels; a WRN's has 16


def parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def macs(net: nn.Module, channels: int, size: int) -> int:
    """Counted layer by layer: outputs of the layer × inputs that each of them sums."""
    total = 0

    def count(layer: Any, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.inference_mode():
        net.eval()(torch.zeros(1, channels, size, size))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(("name", "expected"), AT_32.items())
def test_a_network_has_the_published_size(name: str, expected: tuple[int, int]) -> None:
    net = build(name, classes=10, channels=3, image_size=32)
    assert (parameters(net), macs(net, 3, 32)) == expected


@pytest.mark.parametrize("name", AT_32)
def test_a_convolutional_network_costs_four_times_as_much_at_twice_the_size(name: str) -> None:
    net = build(name, classes=10, channels=3, image_size=64)
    classifier = 10 * FEATURES[name]
    assert macs(net, 3, 64) - classifier == 4 * (AT_32[name][1] - classifier)
    assert parameters(net) == AT_32[name][0]


@pytest.mark.parametrize("name", AT_32)
@pytest.mark.parametrize("classes", [2, 100, 200])
def test_more_classes_widen_the_classifier_and_nothing_else(name: str, classes: int) -> None:
    net = build(name, classes=classes, channels=3, image_size=32)
    more = classes - 10
    size, cost = AT_32[name]
    assert parameters(net) == size + more * (FEATURES[name] + 1)  # a weight for each feature, and a bias
    assert macs(net, 3, 32) == cost + more * FEATURES[name]


@pytest.mark.parametrize("name", AT_32)
def test_grey_images_take_two_thirds_of_the_first_layer_away(name: str) -> None:
    net = build(name, classes=10, channels=1, image_size=32)
    less = 2 * 3 * 3 * STEMS.get(name, 16)
    size, cost = AT_32[name]
    assert (parameters(net), macs(net, 1, 32)) == (size - less, cost - less * 32 * 32)


@pytest.mark.parametrize("name", AT_32)
@pytest.mark.parametrize(("classes", "channels", "size"), [(200, 3, 64), (7, 1, 32)])
def test_a_training_step_costs_three_passes_but_for_the_gradient_of_the_images(
    name: str, classes: int, channels: int, size: int
) -> None:
    net = build(name, classes=classes, channels=channels, image_size=size)
    forward, first = macs(net, channels, size), size * size * channels * 9 * STEMS.get(name, 16)
    counted = flops.count(net, (channels, size, size))
    assert counted.forward == 2 * forward
    assert counted.forward + counted.backward == 2 * (3 * forward - first)
    assert counted.uncounted == ()


def test_the_digits_networks_are_small() -> None:
    teacher = build("digits-teacher", classes=10, channels=1, image_size=8)
    student = build("digits-student", classes=10, channels=1, image_size=8)
    assert (parameters(teacher), macs(teacher, 1, 8)) == (78_196, 372_396)
    assert (parameters(student), macs(student, 1, 8)) == (686, 9_554)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("classes", "channels", "size"), [(2, 1, 8), (7, 3, 32), (5, 3, 40)])
def test_every_network_maps_its_images_to_logits_and_every_weight_learns(
    name: str, classes: int, channels: int, size: int
) -> None:
    torch.set_num_threads(1)
    net = build(name, classes=classes, channels=channels, image_size=size)
    logits = net(torch.randn(2, channels, size, size))
    assert logits.shape == (2, classes)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_follow_torchs_seed(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        net = build(name, classes=3, channels=1, image_size=16)
        return torch.cat([parameter.detach().ravel() for parameter in net.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_every_entry_of_the_catalogue_says_what_it_is() -> None:
    assert all(model.description and "\n" not in model.description for model in MODELS.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "resnet-18"}, "unknown model 'resnet-18'; did you mean 'resnet18'?"),
        ({"classes": 1}, "at least 2 classes, got 1"),
        ({"channels": 4}, "1 or 3 channels, got 4"),
        ({"image_size": 4}, "at least 8×8 pixels, got 4×4"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"name": "resnet18", "classes": 10, "channels": 3, "image_size": 32}
    with pytest.raises(InputError) as refusal:
        build(**(arguments | change))  # type: ignore[arg-type]
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_depth_that_no_wide_network_has_is_refused() -> None:
    with pytest.raises(ValueError, match="6n \\+ 4, got 17"):
        WideResNet(depth=17, width=1, classes=10, channels=3)
