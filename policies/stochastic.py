"""The paper's policy: a fresh random τ for every batch (Rafat et al., PLoS ONE 2023).

Across trials: nothing, one training is the recipe.
Within a trial: τ ~ U{2..20} for each batch, as the paper's code draws it (``random.randint(2, 20)``),
or τ ~ U[2, 20] with ``continuous``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from policies.base import Policy, Softening, Temperature, hinton, positive


class PerBatch(Temperature):
    """τ drawn uniformly for each batch, the draws of an epoch a function of (seed, epoch)."""

    taus: Tensor
    reads_teacher = False

    def __init__(self, low: float, high: float, step: float | None, seed: int) -> None:
        super().__init__()
        self.low, self.high, self.step, self.seed = positive("tau_low", low), positive("tau_high", high), step, seed
        self.register_buffer("taus", torch.empty(0), persistent=False)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        self.taus = self.draw(steps, generator).to(self.taus.device)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """``count`` temperatures, on the generator's device."""
        return uniform(self.low, self.high, self.step, count, generator)

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(self.taus[step])


@dataclass(frozen=True, kw_only=True)
class Stochastic(Policy):
    """A fresh random τ for every batch."""

    name: ClassVar[str] = "stochastic"
    moves_within: ClassVar[bool] = True
    continuous: bool = False

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return PerBatch(*self.range(params), seed)

    def range(self, params: Mapping[str, float]) -> tuple[float, float, float | None]:
        """Lowest and highest τ and the step between levels; None where τ is real."""
        # The space has a step or none. Without a space the step is the paper's.
        step = params.get("tau_step", None if "tau_low" in params else 1)
        return params.get("tau_low", 2), params.get("tau_high", 20), None if self.continuous else step


def uniform(low: float, high: float, step: float | None, count: int, generator: torch.Generator) -> Tensor:
    """``count`` draws: levels low, low + step, …, high with equal chance, or reals of [low, high]."""
    if step is None:
        return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)
    levels = int((high - low) / step + 1e-9) + 1
    return low + step * torch.randint(levels, (count,), generator=generator, device=generator.device)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for each (seed, epoch), so that a resumed trial draws the same τ."""
    return (seed * 1_000_003 + epoch) % 2**63
