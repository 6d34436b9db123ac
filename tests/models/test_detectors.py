"""Detectors: torchvision's parts in the sizes of the table, and outputs that pair up box by box."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.image_list import ImageList

from tune_kd.errors import InputError
from tune_kd.meter import flops
from tune_kd.models import detectors, fast
from tune_kd.models.detectors import DETECTORS, build, default_boxes, pairs, try_out

# At 21 classes, by detection.md's measurement of torchvision's parts: parameters, GMACs, default boxes.
TABLE = {
    "ssd300-vgg16": (26_285_486, 31.374, 8_732),
    "ssdlite-mobilenetv2": (3_349_102, 0.693, 8_732),
    "ssd300-vgg16-3000": (26_728_388, 30.712, 3_000),
    "ssdlite-mobilenetv2-3000": (3_373_220, 0.661, 3_000),
}
SMALL = ("ssd-small", "ssdlite-small")
PAIRS = (
    ("ssd300-vgg16", "ssdlite-mobilenetv2", 300),
    ("ssd300-vgg16-3000", "ssdlite-mobilenetv2-3000", 300),
    ("ssd-small", "ssdlite-small", 64),
    ("ssd-small", "ssdlite-small", 96),
)


@functools.cache
def made(name: str, classes: int, size: int, device: str = "cpu") -> nn.Module:
    torch.manual_seed(0)
    with torch.device(device):
        return build(name, classes=classes, image_size=size)


def macs(net: nn.Module, size: int) -> int:
    """Counted layer by layer: outputs of the layer × inputs that each of them sums."""
    total = 0

    def count(layer: Any, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    with torch.inference_mode():
        net.eval()(torch.zeros(1, 3, size, size, device=next(net.parameters()).device))
    for hook in hooks:
        hook.remove()
    return total


@pytest.mark.parametrize(("name", "expected"), TABLE.items())
def test_a_network_has_the_size_of_the_table(name: str, expected: tuple[int, float, int]) -> None:
    net = made(name, 21, 300, "meta")
    parameters = sum(parameter.numel() for parameter in net.parameters())
    boxes = default_boxes(name, classes=21, image_size=300)
    assert (parameters, round(macs(net, 300) / 1e9, 3), len(boxes)) == expected


def test_the_page_has_the_figures_of_every_network() -> None:
    page = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| `ssd")]
    assert [row[0].strip("`") for row in rows] == list(DETECTORS)
    for name, size, *figures in (
        (row[0].strip("`"), int(row[1][:2]) if "to" in row[1] else 300, *row[2:]) for row in rows
    ):
        classes = 21 if size == 300 else 11
        net = made(name, classes, size, "meta")
        parameters = sum(parameter.numel() for parameter in net.parameters())
        boxes = len(default_boxes(name, classes=classes, image_size=size))
        assert figures == [f"{boxes:,}", f"{parameters:,}", f"{macs(net, size) / 1e9:.3f}"]


@pytest.mark.parametrize("size", [64, 96])
@pytest.mark.parametrize(
    ("name", "least", "most"), [("ssd-small", 200_000, 500_000), ("ssdlite-small", 10_000, 60_000)]
)
def test_the_networks_of_the_embedded_scenes_are_small(name: str, least: int, most: int, size: int) -> None:
    net = made(name, 11, size)
    assert least < sum(parameter.numel() for parameter in net.parameters()) < most
    assert macs(net, size) < 50e6


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ssd-small", 64),
        ("ssdlite-small", 96),
        ("ssdlite-mobilenetv2", 300),
        *(pytest.param(name, 300, marks=pytest.mark.slow) for name in TABLE if name != "ssdlite-mobilenetv2"),
    ],
)
def test_a_training_step_costs_three_passes_but_for_the_gradient_of_the_images(name: str, size: int) -> None:
    net = made(name, 21, size)
    forward, first = macs(net, size), next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    of_images = 27 * first.out_channels * (size // first.stride[0]) ** 2
    counted = flops.count(net, (3, size, size))
    assert counted.forward == 2 * forward
    assert counted.forward + counted.backward == 2 * (3 * forward - of_images)
    assert counted.uncounted == ()


@pytest.mark.parametrize(("teacher", "student", "size"), PAIRS)
def test_a_teacher_and_its_student_have_the_same_default_boxes(teacher: str, student: str, size: int) -> None:
    one, other = (default_boxes(name, classes=5, image_size=size) for name in (teacher, student))
    assert torch.equal(one, other)
    pairs(teacher, student, classes=5, image_size=size)


def test_the_boxes_of_ssd300_are_those_that_torchvisions_network_makes_of_its_feature_maps() -> None:
    with torch.device("meta"):
        whole = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=21)
        maps = list(whole.backbone(torch.zeros(1, 3, 300, 300)).values())
    image = ImageList(torch.zeros(1, 3, 300, 300), [(300, 300)])
    expected = whole.anchor_generator(image, [torch.zeros(shape.shape) for shape in maps])[0]
    assert torch.equal(default_boxes("ssd300-vgg16", classes=21, image_size=300), expected)


def test_ssd300_says_what_torchvisions_network_of_the_same_weights_says() -> None:
    torch.manual_seed(0)
    whole = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=4).eval()
    images = torch.randn(1, 3, 300, 300)
    with torch.inference_mode():
        expected = whole.head(list(whole.backbone(images).values()))
        logits, regressions = made("ssd300-vgg16", 4, 300).eval()(images)
    assert torch.equal(logits, expected["cls_logits"])
    assert torch.equal(regressions, expected["bbox_regression"])


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(
    ("name", "size"), [*((name, size) for name in SMALL for size in (64, 71, 96)), ("ssdlite-mobilenetv2", 300)]
)
def test_logits_and_regressions_come_for_every_default_box_and_every_weight_learns(
    name: str, size: int, training: bool
) -> None:
    net = build(name, classes=7, image_size=size).train(training)
    count = len(default_boxes(name, classes=7, image_size=size))
    logits, regressions = net(torch.randn(2, 3, size, size))
    assert (logits.shape, regressions.shape) == ((2, count, 7), (2, count, 4))
    assert torch.equal(net.get_buffer("default_boxes"), default_boxes(name, classes=7, image_size=size))
    (logits.square().sum() + regressions.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_frozen_network_says_the_same_but_for_rounding(name: str) -> None:
    torch.manual_seed(1)
    net = build(name, classes=11, image_size=64)
    images = torch.randn(16, 3, 64, 64)
    for _ in range(20):  # statistics of batch norm that belong to such images
        net(images)
    expected = [part.detach() for part in net.eval()(images)]
    found = fast.for_inference(net, torch.device("cpu"))(images)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_the_weights_follow_torchs_seed_and_hold_no_boxes(name: str) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        state = build(name, classes=3, image_size=64).state_dict()
        assert not any("default_boxes" in key for key in state)
        return torch.cat([tensor.float().ravel() for tensor in state.values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def refusal_of(call: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(InputError) as refusal:
        call(*given, **named)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_unequal_default_boxes_are_refused_in_a_line_that_names_both_and_what_fits() -> None:
    message = refusal_of(pairs, "ssd300-vgg16", "ssdlite-mobilenetv2-3000", classes=21, image_size=300)
    assert "teacher 'ssd300-vgg16' has 8,732 default boxes and student 'ssdlite-mobilenetv2-3000' 3,000" in message
    assert "with it goes ssdlite-mobilenetv2" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "ssd300-vgg"}, "unknown detector 'ssd300-vgg'; did you mean 'ssd300-vgg16'?"),
        ({"name": "timm:resnet18"}, "timm has no detectors"),
        ({"classes": 1}, "at least 1 class more, got 1 in all"),
        ({"image_size": 320}, "'ssd300-vgg16' takes images of 300×300 pixels, got 320×320"),
        ({"name": "ssd-small", "image_size": 32}, "'ssd-small' takes images of 64×64 to 96×96 pixels, got 32×32"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(change: dict[str, object], message: str) -> None:
    arguments: dict[str, Any] = {"name": "ssd300-vgg16", "classes": 21, "image_size": 300} | change
    assert message in refusal_of(build, **arguments)


def test_every_entry_of_the_catalogue_says_what_it_is() -> None:
    assert all(model.description and "\n" not in model.description for model in DETECTORS.values())


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, boxes):
        super().__init__()
        self.classes, self.default_boxes = classes, boxes
        self.layer = nn.Linear(3, len(boxes) * (classes + 4))

    def forward(self, images):
        said = self.layer(images.mean(dim=(2, 3))).unflatten(1, (len(self.default_boxes), -1))
        return said[..., :self.classes], said[..., self.classes:]

class Listing(Net):
    def forward(self, images):
        return list(super().forward(images))

class Fewer(Net):
    def forward(self, images):
        logits, boxes = super().forward(images)
        return (logits, boxes) if self.training else (logits[:, 1:], boxes[:, 1:])

BOXES = torch.tensor([[0.0, 0.0, 9.0, 9.0], [1.0, 2.0, 8.0, 7.0]])

def good(*, classes, channels, image_size):
    return Net(classes, BOXES)

def listing(*, classes, channels, image_size):
    return Listing(classes, BOXES)

def fewer(*, classes, channels, image_size):
    return Fewer(classes, BOXES)

def boxless(*, classes, channels, image_size):
    return nn.Linear(3, classes)
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_detectors.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "own_detectors"


def test_a_detector_of_ones_own_is_built_and_pairs_with_its_like(own_module: str) -> None:
    name, before = f"{own_module}:good", torch.get_rng_state()
    try_out(name, classes=4, image_size=20)
    pairs(name, name, classes=4, image_size=20)
    assert torch.equal(before, torch.get_rng_state())
    logits, regressions = build(name, classes=4, image_size=20)(torch.zeros(3, 3, 20, 20))
    assert (logits.shape, regressions.shape) == ((3, 2, 4), (3, 2, 4))


@pytest.mark.parametrize(
    ("called", "message"),
    [
        ("listing", "must give logits (2, 2, 4) and box regressions (2, 2, 4)"),
        ("fewer", "in evaluation mode, got ((2, 1, 4), (2, 1, 4))"),
        ("boxless", "must have its default boxes, a tensor [A, 4] in pixels, as default_boxes, got NoneType"),
        ("missing", "has no callable 'missing'"),
    ],
)
def test_a_detector_of_ones_own_that_breaks_the_contract_is_refused_in_one_line(
    own_module: str, called: str, message: str
) -> None:
    assert message in refusal_of(try_out, f"{own_module}:{called}", classes=4, image_size=20)


def test_the_catalogue_is_what_the_check_accepts() -> None:
    for name in DETECTORS:
        detectors.check(name)
    assert "unknown student model 'resnet18'" in refusal_of(detectors.check, "resnet18", "student model")
