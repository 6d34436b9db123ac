"""What synthesised images are compared with: images of noise, and the training images without their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tune_kd.synthesis.methods import Made, Wanted


class Noise:
    """Batches of :class:`tune_kd.synthesis.methods.Method`: every pixel uniform in 0..1. No teacher is asked."""

    def __init__(self, wanted: Wanted, device: torch.device) -> None:
        self._wanted, self._device = wanted, device

    def batch(self, student: nn.Module | None) -> Made:
        images = torch.rand(self._wanted.synthesis.batch_size, *self._wanted.shape, device=self._device)
        return Made(images, None, 0, True)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is nothing: no batch depends on another."""


class RealImages:
    """Batches of :class:`tune_kd.synthesis.methods.Method`: training images, uint8 [N, C, H, W], without labels.

    They come in a random order, which is gone through again and again.
    """

    def __init__(self, wanted: Wanted, images: Tensor) -> None:
        self._wanted, self._images, self._given = wanted, images, 0

    def batch(self, student: nn.Module | None) -> Made:
        count, there = self._wanted.synthesis.batch_size, len(self._images)
        order = torch.randperm(there, generator=torch.Generator().manual_seed(self._wanted.seed))
        chosen = order[torch.arange(self._given, self._given + count) % there]
        self._given += count
        return Made(self._images[chosen].float() / 255, None, 0, True)

    def state_dict(self) -> dict[str, Any]:
        return {"given": self._given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._given = state["given"]
