"""Batches from images that stay on the device as uint8, augmented there.

The stream of an epoch, order and augmentation, is a pure function of (seed, epoch): it is drawn on the CPU, so that
it is the same on every device, and moved there once. No step waits for the device.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tune_kd.data.image_set import ImageSet
from tune_kd.data.shared_memory import from_shared
from tune_kd.errors import InputError

Labels = TypeVar("Labels")  # a Tensor, int64 [B], of classification; Objects of detection


class Batch(NamedTuple, Generic[Labels]):
    """Normalised images, float32 [B, C, H, W] channels last, their labels, and their index, int64 [B]."""

    images: Tensor
    labels: Labels
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which nobody calls on a batch
    rest: tuple[Tensor, ...] = ()  # what the task alone reads of the labels, such as targets of boxes [B, A, 4]


class DeviceImages:
    """An :class:`ImageSet` on a device: ``images``, uint8 [N, C, H, W], and ``labels``, int64 [N]; never written to."""

    def __init__(self, image_set: ImageSet, device: torch.device | str) -> None:
        self.images = from_shared(image_set.images).to(device)
        self.labels = from_shared(image_set.labels).to(device)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """The device of images and labels."""
        return self.images.device


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Augmentation, drawn anew for every image and epoch, applied in this order: crop, flip, rotation."""

    flip: bool = False  # mirror left and right, with probability ½
    crop_padding: int = 0  # pixels of zeros on every side, of which a window of the image's size is cut
    rotation_degrees: float = 0.0  # about the centre, uniform in ± this, bilinear, zeros from outside

    def __post_init__(self) -> None:
        if self.crop_padding < 0:
            raise InputError(f"crop_padding must be ≥ 0 pixels, got {self.crop_padding}")
        if not 0 <= self.rotation_degrees <= 180:
            raise InputError(f"rotation_degrees must be from 0 to 180, got {self.rotation_degrees}")


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Batches in an epoch of ``count`` images: a trailing batch of one image is dropped (see :func:`epoch_batches`)."""
    full, rest = divmod(count, batch_size)
    return full + (rest > 1)


def epoch_batches(
    device_images: DeviceImages,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augmentation: Augmentation,
    mean: Sequence[float],
    std: Sequence[float],
    endless: bool = False,
) -> Iterator[Batch[Tensor]]:
    """The training batches of ``epoch``: every image once, in random order, augmented and normalised.

    A trailing batch of a single image is dropped: batch norm has no variance to normalise it by. ``mean`` and ``std``
    are per channel, in 0..1. ``endless`` gives the same batches over and over. Raises InputError for a ``batch_size``
    below 2.
    """
    if batch_size < 2:
        raise InputError(f"batch_size must be ≥ 2 (batch norm cannot train on one image), got {batch_size}")
    draws = _draw_epoch(len(device_images), seed, epoch, augmentation).to(device_images.device)
    scale, shift = normalising(mean, std, device_images.device)
    steps = range(steps_per_epoch(len(device_images), batch_size))
    for step in itertools.cycle(steps) if endless else steps:
        here = slice(step * batch_size, (step + 1) * batch_size)
        index = draws.order[here]
        images = device_images.images[index]
        if augmentation.crop_padding:
            images = crop(images, draws.top[here], draws.left[here], augmentation.crop_padding)
        if augmentation.flip:
            images = flip(images, draws.mirrored[here])
        pixels = images.float()
        if augmentation.rotation_degrees:
            pixels = rotate(pixels, draws.degrees[here])
        yield Batch(channels_last(pixels * scale + shift), device_images.labels[index], index)


def eval_batches(
    device_images: DeviceImages, *, batch_size: int, mean: Sequence[float], std: Sequence[float]
) -> Iterator[Batch[Tensor]]:
    """All images in their order, normalised as :func:`epoch_batches` does it, not augmented."""
    scale, shift = normalising(mean, std, device_images.device)
    index = torch.arange(len(device_images), device=device_images.device)
    for start in range(0, len(device_images), batch_size):
        here = slice(start, start + batch_size)
        images = device_images.images[here].float() * scale + shift
        yield Batch(channels_last(images), device_images.labels[here], index[here])


def flip(images: Tensor, mirrored: Tensor) -> Tensor:
    """``images`` [B, C, H, W], left and right exchanged where ``mirrored``, bool [B]."""
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def crop(images: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Of each of ``images`` [B, C, H, W], padded with zeros, the window of its own size at (top, left), int64 [B]."""
    height, width = images.shape[2:]
    windows = F.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # a view of every window
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """``images``, float [B, C, H, W], each turned counter-clockwise about its centre by ``degrees``, float [B]."""
    height, width = images.shape[2:]
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # The place that each output pixel is read from, in coordinates of -1..1 across either side: hence the aspect ratio.
    rows = torch.stack([cos, -sin * height / width, zero, sin * width / height, cos, zero], dim=1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class _Draws(NamedTuple):
    """All that is random in an epoch of N images, each [N]."""

    order: Tensor
    mirrored: Tensor
    top: Tensor
    left: Tensor
    degrees: Tensor

    def to(self, device: torch.device) -> _Draws:
        return _Draws(*(draw.to(device, non_blocking=True) for draw in self))


def _draw_epoch(count: int, seed: int, epoch: int, augmentation: Augmentation) -> _Draws:
    """Every draw is made under any augmentation, so that switching one part of it leaves the others as they were."""
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    order = torch.randperm(count, generator=generator)
    mirror, turn = torch.rand(2, count, generator=generator)
    top, left = torch.randint(2 * augmentation.crop_padding + 1, (2, count), generator=generator)
    return _Draws(
        order=order,
        mirrored=mirror < 0.5,
        top=top,
        left=left,
        degrees=(2 * turn - 1) * augmentation.rotation_degrees,
    )


def normalising(mean: Sequence[float], std: Sequence[float], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift, each [C, 1, 1], so that pixel * scale + shift = (pixel / 255 − mean) / std."""
    scale = [1 / (255 * deviation) for deviation in std]
    shift = [-centre / deviation for centre, deviation in zip(mean, std, strict=True)]
    both = torch.tensor([scale, shift], dtype=torch.float32, device=device)[:, :, None, None]
    return both[0], both[1]


def channels_last(images: Tensor) -> Tensor:
    """The layout in which convolutions are fastest, on CPUs and GPUs alike; values and shape stay."""
    return images.contiguous(memory_format=torch.channels_last)
