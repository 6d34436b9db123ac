"""torchvision's augmentation for detection, and one sample through it.

torchvision is imported by who calls it: it takes a second of CPU time, which every worker of a classification would
spend as it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tune_kd.errors import unknown

Sample = dict[str, Tensor]
"""``image``, uint8 [3, H, W]; ``boxes``, float32 [k, 4] in its pixels; ``labels``, int64, ``difficult``, bool, [k]."""

PRESETS = ("none", "ssdlite", "ssd")


def augmentation(preset: str, image_size: int, fill: Sequence[float]) -> Callable[[Sample], Sample]:
    """The transforms of a preset, then a scaling to ``image_size`` pixels a side.

    ``ssdlite`` and ``ssd`` are the presets of torchvision's references: a crop that keeps an IoU with some object, and
    a mirroring; ``ssd`` distorts colours and zooms out before, where ``fill``, a pixel in 0..255, is put around the
    image. Objects whose centres are cut off, and those of which less than a pixel is left, are removed. Draws are from
    torch's global generator. Raises InputError for an unknown preset.
    """
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    crop = [v2.RandomIoUCrop(), v2.SanitizeBoundingBoxes(labels_getter=lambda one: (one["labels"], one["difficult"]))]
    around = {tv_tensors.Image: list(fill), "others": 0}
    steps: dict[str, list[Any]] = {
        "none": [],
        "ssdlite": [*crop, v2.RandomHorizontalFlip()],
        "ssd": [v2.RandomPhotometricDistort(), v2.RandomZoomOut(fill=around), *crop, v2.RandomHorizontalFlip()],
    }
    if preset not in steps:
        raise unknown("augmentation", preset, PRESETS)
    # Scaled boxes may end a rounding error beyond the image.
    scaling = [v2.Resize((image_size, image_size)), v2.ClampBoundingBoxes()]
    transforms: Callable[[Sample], Sample] = v2.Compose([*steps[preset], *scaling])
    return transforms


def augmented(sample: Sample, transforms: Callable[[Sample], Sample], seed: int) -> Sample:
    """``sample`` transformed, a pure function of the arguments: the global generator is as it was afterwards."""
    from torchvision import tv_tensors

    image = tv_tensors.Image(sample["image"])
    boxes = tv_tensors.BoundingBoxes(sample["boxes"], format="XYXY", canvas_size=image.shape[-2:])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed a GPU's generator as well, for good
        done = transforms({**sample, "image": image, "boxes": boxes})
    return {name: value.as_subclass(Tensor) for name, value in done.items()}
