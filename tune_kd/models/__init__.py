"""The networks that can be teacher or student, by name: ours, ``timm:NAME`` and ``package.module:callable``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from tune_kd.errors import InputError, unknown
from tune_kd.models import cifar, digits, own
from tune_kd.models.wrn import WideResNet


@dataclass(frozen=True, kw_only=True)
class Model:
    """An entry of the catalogue: what the network is, and how one with fresh random weights is made."""

    description: str
    make: Callable[[int, int, int], nn.Module]  # (classes, channels, image_size)


def _wide_resnet(depth: int, width: int) -> Model:
    return Model(
        description=f"wide residual network, {depth} layers, {width}× as wide (Zagoruyko & Komodakis 2016)",
        make=lambda classes, channels, _: WideResNet(depth=depth, width=width, classes=classes, channels=channels),
    )


MODELS: dict[str, Model] = {
    "digits-teacher": Model(
        description="two convolutions and a hidden layer for 8×8 digits, 78k parameters",
        make=digits.teacher,
    ),
    "digits-student": Model(description="two thin convolutions for 8×8 digits, 0.7k parameters", make=digits.student),
    "resnet18": Model(description="ResNet-18 of torchvision, stem for 32×32", make=cifar.resnet18),
    "mobilenetv2": Model(description="MobileNetV2 of torchvision, stem for 32×32", make=cifar.mobilenetv2),
    "shufflenetv2": Model(description="ShuffleNetV2 ×1.0 of torchvision, stem for 32×32", make=cifar.shufflenetv2),
    "wrn-10-1": _wide_resnet(10, 1),
    "wrn-16-1": _wide_resnet(16, 1),
    "wrn-16-2": _wide_resnet(16, 2),
    "wrn-40-1": _wide_resnet(40, 1),
    "wrn-40-2": _wide_resnet(40, 2),
}


ELSEWHERE = {
    "timm:NAME": "a network of timm, untrained (pip install 'tune-kd[timm]')",
    "package.module:callable": "of an installed package, called with classes=, channels= and image_size=",
}
"""How networks are named that are not ours: :mod:`tune_kd.models.own`."""


def check(name: str, role: str = "model") -> None:
    """Is there such a network? Raises InputError that names its ``role``, with the nearest name as a hint."""
    if ":" in name:
        own.find(name)
    elif name not in MODELS:
        raise unknown(role, name, [*MODELS, *ELSEWHERE])


def build(name: str, *, classes: int, channels: int, image_size: int) -> nn.Module:
    """The network ``name`` for images [B, channels, image_size, image_size] and logits [B, classes].

    Its weights come from torch's global generator: seed it first. Raises InputError for a name that is neither in
    :data:`MODELS` nor a network of :mod:`tune_kd.models.own`, fewer than 2 classes, other than 1 or 3 channels, or
    images below 8×8.
    """
    check(name)
    if classes < 2:
        raise InputError(f"model {name!r} needs at least 2 classes, got {classes}")
    if channels not in (1, 3):
        raise InputError(f"model {name!r} takes 1 or 3 channels, got {channels}")
    if image_size < 8:
        raise InputError(f"model {name!r} takes images of at least 8×8 pixels, got {image_size}×{image_size}")
    if ":" in name:
        return own.make(name, classes=classes, channels=channels, image_size=image_size)
    return MODELS[name].make(classes, channels, image_size)


def try_out(name: str, *, classes: int, channels: int, image_size: int) -> None:
    """Have a network from elsewhere look at two empty images; ours are known to work. Raises InputError.

    The state of torch's generator stays as it was.
    """
    if ":" not in name:
        return
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        net = build(name, classes=classes, channels=channels, image_size=image_size).eval()
        shape = (2, channels, image_size, image_size)
        try:
            logits = net(torch.zeros(shape))
        except Exception as error:  # somebody else's code may raise anything
            raise InputError(f"model {name!r} cannot take images {shape}: {own.first_line(error)}") from error
    given = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if given != (2, classes):
        raise InputError(f"model {name!r} must give logits {(2, classes)} for images {shape}, got {given}")


def origin(name: str) -> str | None:
    """Which code makes a network from elsewhere; None for ours, whose code has a version of its own."""
    return own.origin(name) if ":" in name else None


__all__ = ["ELSEWHERE", "MODELS", "Model", "build", "check", "origin", "try_out"]
