"""Networks from elsewhere: timm's and a user's own, and one line for whatever cannot be used."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from tune_kd.errors import InputError
from tune_kd.models import build, check, origin, try_out

SIZES: dict[str, Any] = {"classes": 7, "channels": 1, "image_size": 32}
NET = """
from functools import partial, wraps

from torch import nn

def linear(*, classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, classes))

def wide(*, classes, channels, image_size):
    return linear(classes=classes + 1, channels=channels, image_size=image_size)

def small(*, classes, channels, image_size):
    return linear(classes=classes, channels=channels, image_size=8)

def positional(classes):
    return linear(classes=classes, channels=1, image_size=8)

def number(*, classes, channels, image_size):
    return classes

def recurrent(*, classes, channels, image_size):
    return nn.Sequential(nn.Flatten(2), nn.LSTM(image_size**2, classes))

class Maker:
    def __call__(self, *, classes, channels, image_size):
        return linear(classes=classes, channels=channels, image_size=image_size)

@wraps(linear)
def wrapped(**sizes):
    return linear(**sizes)

maker = Maker()
bound = maker.__call__
ready = partial(partial(wrapped))
in_c = iter
constant = 3
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package ``their_nets`` with a module ``nets``, and one that breaks when it is imported."""
    folder = tmp_path / "their_nets"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "nets.py").write_text(NET, encoding="utf-8")
    (folder / "broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for module in [name for name in sys.modules if name.startswith("their_nets")]:
        del sys.modules[module]


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:vit_tiny_patch16_224", "their_nets.nets:linear"])
def test_a_network_from_elsewhere_is_made_for_the_data(name: str, package: Path) -> None:
    check(name, "student model")
    try_out(name, **SIZES)
    net = build(name, **SIZES)
    logits = net(torch.randn(2, 1, 32, 32))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("name", ["timm:resnet10t", "their_nets.nets:linear"])
def test_its_weights_follow_torchs_seed(name: str, package: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([parameter.detach().ravel() for parameter in build(name, **SIZES).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_trying_a_network_out_leaves_the_random_state_alone(package: Path) -> None:
    before = torch.get_rng_state()
    try_out("their_nets.nets:linear", **SIZES)
    assert torch.equal(torch.get_rng_state(), before)


def test_where_a_network_comes_from_is_told_by_its_code(package: Path) -> None:
    linear = origin("their_nets.nets:linear")
    assert linear is not None
    assert len(linear) == 64
    assert linear == origin("their_nets.nets:wide")  # one file
    assert origin("timm:resnet10t") == f"timm {metadata.version('timm')}"
    assert origin("resnet18") is None


@pytest.mark.parametrize("name", ["linear", "wrapped", "ready", "maker", "bound", "Maker"])
def test_whatever_can_be_called_is_told_by_the_file_that_defines_it(name: str, package: Path) -> None:
    assert origin(f"their_nets.nets:{name}") == hashlib.sha256((package / "nets.py").read_bytes()).hexdigest()


def test_a_partial_is_told_by_where_it_has_its_arguments_from_too(package: Path) -> None:
    origins = set()
    for classes in (1, 2):
        module = f"their_nets.ready_{classes}"
        text = "from functools import partial\nfrom their_nets.nets import linear\n"
        text += f"ready = partial(linear, classes={classes})"
        (package / f"ready_{classes}.py").write_text(text, encoding="utf-8")
        origins |= {origin(f"{module}:ready"), origin(f"{module}:linear")}
    assert len(origins) == 3
    assert origin("their_nets.nets:linear") in origins


def test_a_callable_without_a_file_is_told_by_its_name(package: Path) -> None:
    assert origin("builtins:iter") == "builtins:iter"
    assert origin("their_nets.nets:in_c") == "their_nets.nets:in_c"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("timm:resnet10", ["'timm:resnet10'", "did you mean 'resnet10t'"]),
        ("timm:", ["'timm:'", "choices"]),
        (":linear", ["package.module:callable", "':linear'"]),
        ("their_nets.nets:", ["package.module:callable", "'their_nets.nets:'"]),
        ("their_nets.nests:linear", ["their_nets.nests cannot be imported", "ModuleNotFoundError"]),
        ("their_nets.broken:linear", ["their_nets.broken cannot be imported", "nothing_of_that_name"]),
        ("their_nets.nets:linaer", ["no callable 'linaer'", "did you mean 'linear'"]),
        ("their_nets.nets:constant", ["no callable 'constant'"]),
    ],
)
def test_a_network_that_is_not_there_is_refused_in_one_line(name: str, words: list[str], package: Path) -> None:
    with pytest.raises(InputError) as refusal:
        check(name)
    text = str(refusal.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("positional", ["cannot be made with classes=7, channels=1, image_size=32", "TypeError"]),
        ("number", ["must give a torch.nn.Module, got int"]),
        ("small", ["cannot take images (2, 1, 32, 32)", "RuntimeError"]),
        ("wide", ["must give logits (2, 7)", "got (2, 8)"]),
        ("recurrent", ["must give logits (2, 7)", "got tuple"]),
    ],
)
def test_a_network_that_does_not_fit_the_data_is_refused_in_one_line(
    name: str, words: list[str], package: Path
) -> None:
    with pytest.raises(InputError) as refusal:
        try_out(f"their_nets.nets:{name}", **SIZES)
    text = str(refusal.value)
    assert "\n" not in text
    assert [word for word in words if word not in text] == []


def test_too_small_images_are_refused_by_name_too(package: Path) -> None:
    with pytest.raises(InputError, match="at least 8×8 pixels, got 4×4"):
        build("their_nets.nets:linear", **SIZES | {"image_size": 4})
