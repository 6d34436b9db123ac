"""The paper's idea, finer: a fresh random τ for every sample of every batch.

Across trials: nothing, one training.
Within a trial: τ ~ U{2..20} for each sample, or τ ~ U[2, 20] with ``continuous``; each sample's KL has its own τ².

A variant of Rafat et al. 2023 (``stochastic.py``), of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Softening, Temperature, hinton
from policies.stochastic import PerBatch, Stochastic, epoch_seed


class PerSample(PerBatch):
    """τ drawn uniformly for each sample, the draws of a batch a function of (seed, epoch, step).

    The size of a batch is known only in its step, so τ is drawn there, on the device. Seeding a generator and drawing
    from it wait for nothing. CPU and GPU have generators of different kinds, so they draw different τ.
    """

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.generator = torch.Generator(self.taus.device)
        self.epoch_seed = epoch_seed(self.seed, epoch)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        generator = self.generator.manual_seed(epoch_seed(self.epoch_seed, step))
        drawn = self.draw(len(student_logits), generator)
        return hinton(drawn.view(-1, *[1] * (student_logits.dim() - 1)))


@dataclass(frozen=True, kw_only=True)
class StochasticPerSample(Stochastic):
    """A fresh random τ for every sample."""

    name: ClassVar[str] = "stochastic-per-sample"

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return PerSample(*self.range(params), seed)
