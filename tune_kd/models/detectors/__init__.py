"""The detectors that can be teacher or student, by name: ours and ``package.module:callable``.

The callable is called with the keywords ``classes`` (the background, class 0, among them), ``channels`` and
``image_size``. It returns a module with freshly drawn weights whose attribute ``default_boxes`` is float [A, 4] (x1,
y1, x2, y2 in pixels), and which maps images [B, 3, image_size, image_size] to class logits [B, A, classes] and box
regressions [B, A, 4], in training and evaluation mode alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tune_kd.errors import InputError, unknown
from tune_kd.models import own
from tune_kd.models.detectors import boxes, mobilenet, small, vgg
from tune_kd.models.detectors.boxes import DefaultBoxes

ELSEWHERE = "package.module:callable"
CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class DetectorModel:
    """An entry of the catalogue: what the network is, the images that it takes, its boxes, and how it is made."""

    description: str
    sizes: range  # of its square images, in pixels
    boxes: Callable[[int], DefaultBoxes]  # (image_size)
    make: Callable[[int, int], nn.Module]  # (classes, image_size)


_300, _SMALL = range(300, 301), range(64, 97)

DETECTORS: dict[str, DetectorModel] = {
    "ssd300-vgg16": DetectorModel(
        description="SSD300 on VGG16 of torchvision, 8,732 boxes, 26.3M parameters at 21 classes",
        sizes=_300,
        boxes=lambda _: boxes.SSD300,
        make=vgg.ssd300,
    ),
    "ssdlite-mobilenetv2": DetectorModel(
        description="SSDLite on MobileNetV2, on the boxes of ssd300-vgg16, 3.3M parameters at 21 classes",
        sizes=_300,
        boxes=lambda _: boxes.SSD300,
        make=mobilenet.ssdlite,
    ),
    "ssd300-vgg16-3000": DetectorModel(
        description="SSD300 on VGG16 from fc7 on, 3,000 boxes, 26.7M parameters at 21 classes",
        sizes=_300,
        boxes=lambda _: boxes.LITE300,
        make=vgg.ssd300_3000,
    ),
    "ssdlite-mobilenetv2-3000": DetectorModel(
        description="SSDLite on MobileNetV2 as published, 3,000 boxes, 3.4M parameters at 21 classes",
        sizes=_300,
        boxes=lambda _: boxes.LITE300,
        make=mobilenet.ssdlite_3000,
    ),
    "ssd-small": DetectorModel(
        description="plain convolutions for scenes of 64×64 to 96×96, 336 boxes at 64×64",
        sizes=_SMALL,
        boxes=boxes.small,
        make=small.ssd,
    ),
    "ssdlite-small": DetectorModel(
        description="thin blocks of MobileNetV2 for the same scenes, on the boxes of ssd-small",
        sizes=_SMALL,
        boxes=boxes.small,
        make=small.ssdlite,
    ),
}


def check(name: str, role: str = "detector") -> None:
    """Is there such a detector? Raises InputError that names its ``role``, with the nearest name as a hint."""
    if ":" in name:
        if name.startswith("timm:"):
            raise InputError(f"{role} {name!r}: timm has no detectors; a detector from elsewhere is {ELSEWHERE}")
        own.find(name)
    elif name not in DETECTORS:
        raise unknown(role, name, [*DETECTORS, ELSEWHERE])


def build(name: str, *, classes: int, image_size: int) -> nn.Module:
    """The detector ``name`` for images [B, 3, image_size, image_size] and ``classes``, the background among them.

    Its weights come from torch's global generator: seed it first. Raises InputError for a name that is none, fewer
    than 2 classes, or images of a size that the network does not take.
    """
    check(name)
    if classes < 2:
        raise InputError(f"detector {name!r} needs the background and at least 1 class more, got {classes} in all")
    if ":" in name:
        return own.make(name, classes=classes, channels=CHANNELS, image_size=image_size)
    _check_size(name, image_size)
    return DETECTORS[name].make(classes, image_size)


def default_boxes(name: str, *, classes: int, image_size: int) -> Tensor:
    """The default boxes of a detector, float32 [A, 4], in pixels; not to be written to. Raises InputError as build."""
    check(name)
    if ":" in name:
        return _own_boxes(name, classes, image_size)
    _check_size(name, image_size)
    return _known_boxes(DETECTORS[name].boxes(image_size), image_size)


def most_boxes(name: str) -> int | None:
    """The number of default boxes of one of our detectors, on the largest images that it takes; None of another."""
    if name not in DETECTORS:
        return None
    model = DETECTORS[name]
    return model.boxes(model.sizes[-1]).count


def pairs(teacher: str, student: str, *, classes: int, image_size: int) -> None:
    """See that two detectors speak of the same default boxes, in the same order. Raises InputError naming both."""
    of_teacher, of_student = (
        default_boxes(name, classes=classes, image_size=image_size) for name in (teacher, student)
    )
    if of_teacher.shape == of_student.shape and torch.allclose(of_teacher, of_student, rtol=0, atol=1e-3):
        return
    differ = "as many others" if len(of_teacher) == len(of_student) else f"{len(of_student):,}"
    like = [other for other in DETECTORS if other != teacher and _equal(other, of_teacher, image_size)]
    hint = f"; with it goes {' or '.join(like)}" if like else ""
    raise InputError(
        f"teacher {teacher!r} has {len(of_teacher):,} default boxes and student {student!r} {differ}: their outputs do "
        f"not pair up box by box{hint}"
    )


def try_out(name: str, *, classes: int, image_size: int) -> None:
    """Have a detector from elsewhere look at two empty images; ours are known to work. Raises InputError.

    The state of torch's generator stays as it was.
    """
    if ":" not in name:
        _check_size(name, image_size)
        return
    count = len(default_boxes(name, classes=classes, image_size=image_size))
    wanted, shape = ((2, count, classes), (2, count, 4)), (2, CHANNELS, image_size, image_size)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        net = build(name, classes=classes, image_size=image_size)
        for mode in (True, False):
            try:
                given = _shapes(net.train(mode)(torch.zeros(shape)))
            except Exception as error:  # somebody else's code may raise anything
                raise InputError(f"detector {name!r} cannot take images {shape}: {own.first_line(error)}") from error
            if given != wanted:
                raise InputError(
                    f"detector {name!r} must give logits {wanted[0]} and box regressions {wanted[1]} for images "
                    f"{shape} in {'training' if mode else 'evaluation'} mode, got {given}"
                )


def _shapes(outputs: Any) -> Any:
    """The shapes of a tuple of tensors; of anything else what it is."""
    if isinstance(outputs, tuple) and all(isinstance(part, Tensor) for part in outputs):
        return tuple(tuple(part.shape) for part in outputs)
    return type(outputs).__name__


def _check_size(name: str, image_size: int) -> None:
    sizes = DETECTORS[name].sizes
    if image_size not in sizes:
        first, last = (f"{size}×{size}" for size in (sizes[0], sizes[-1]))
        takes = first if first == last else f"{first} to {last}"
        raise InputError(f"detector {name!r} takes images of {takes} pixels, got {image_size}×{image_size}")


def _equal(name: str, expected: Tensor, image_size: int) -> bool:
    model = DETECTORS[name]
    return image_size in model.sizes and torch.equal(_known_boxes(model.boxes(image_size), image_size), expected)


@functools.cache
def _known_boxes(which: DefaultBoxes, image_size: int) -> Tensor:
    return which.tensor(image_size)


@functools.cache
def _own_boxes(name: str, classes: int, image_size: int) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        net = build(name, classes=classes, image_size=image_size)
    found = getattr(net, "default_boxes", None)
    if not isinstance(found, Tensor) or found.ndim != 2 or found.shape[1] != 4:
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(
            f"detector {name!r} must have its default boxes, a tensor [A, 4] in pixels, as default_boxes, got {given}"
        )
    return found.detach().float().cpu()


__all__ = [
    "CHANNELS",
    "DETECTORS",
    "ELSEWHERE",
    "DetectorModel",
    "build",
    "check",
    "default_boxes",
    "most_boxes",
    "pairs",
    "try_out",
]
