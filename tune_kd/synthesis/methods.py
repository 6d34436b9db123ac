"""What every method of synthesis does, and the methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from tune_kd.config.seeds import pool_seed
from tune_kd.config.synthesis import Synthesis
from tune_kd.data.image_set import Channels
from tune_kd.meter import flops


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is synthesised: how, of which classes, and what an image is.

    ``shape`` is (C, H, W); ``mean`` and ``std`` are what the teacher's images are normalised by.
    """

    synthesis: Synthesis
    classes: int
    shape: tuple[int, int, int]
    mean: Channels
    std: Channels
    seed: int

    @property
    def batches(self) -> int:
        """How many batches are made, those included whose images are not kept."""
        return -(-self.synthesis.images // self.synthesis.batch_size) + self.unkept

    @property
    def unkept(self) -> int:
        """How many batches at the beginning are made for the generator's sake alone."""
        return self.synthesis.fast.warmup if self.synthesis.method == "fast" else 0

    def seed_batch(self, number: int) -> None:
        """Seed torch's generators for batch ``number``: what it draws depends on no batch before."""
        torch.manual_seed(pool_seed(self.seed, number))

    def normalise(self, images: Tensor) -> Tensor:
        """Images in 0..1 as the teacher takes them."""
        mean, std = (torch.tensor(values, device=images.device)[:, None, None] for values in (self.mean, self.std))
        return (images - mean) / std


class Made(NamedTuple):
    """A batch of images in 0..1, float32 [B, C, H, W], the labels that they are aimed at, and what they took."""

    images: Tensor
    labels: Tensor | None  # int64 [B]; None: they are aimed at none
    flops: int
    finite: bool  # was the loss, in its last step?


class Method(Protocol):
    """A way to make images out of a teacher, which is in evaluation mode and frozen, and stays as it is."""

    def batch(self, student: nn.Module | None) -> Made:
        """The next batch, drawn from torch's global generators.

        ``student`` is frozen and in evaluation mode: whom the images are made against, where that is asked for.
        """

    def state_dict(self) -> dict[str, Any]:
        """What the next batches depend on, beside the seed."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""


def repeated(step: Callable[[], None], times: int) -> int:
    """Call ``step`` so many times; the FLOPs of all. They are counted in the first, as all do the same operations."""
    with flops.counting() as counter:
        step()
    for _ in range(times - 1):
        step()
    return counter.get_total_flops() * times


class Best:
    """The images of the step with the least loss so far. Nothing waits for the device."""

    def __init__(self) -> None:
        self._loss: Tensor | None = None
        self._images: Tensor | None = None

    def offer(self, loss: Tensor, images: Tensor) -> None:
        """Consider the ``images`` that have this ``loss``, a scalar. A loss that is not finite is never the least."""
        loss, images = loss.detach(), images.detach()
        if self._loss is None or self._images is None:
            self._loss, self._images = loss.clone(), images.clone()
            return
        better = loss < self._loss
        self._loss = torch.where(better, loss, self._loss)
        self._images = torch.where(better, images, self._images)

    @property
    def images(self) -> Tensor:
        """A copy of their own, which no later step changes."""
        assert self._images is not None, "nothing was offered"
        return self._images
