"""The base of methods whose τ is in proportion to the spread of each sample's logits."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

from torch import Tensor

from policies.base import OwnRange, positive

# The published codes divide by the standard deviation as it is, or add 1e-7, and the gradient grows as its inverse.
# One step would destroy a network whose logits are still almost equal, as with a last layer that begins at zero.
# Logits of a network just initialised differ by about 0.1, which is more than this.
SMALLEST_DEVIATION = 0.01


def standard_deviation(logits: Tensor) -> Tensor:
    """Of logits [..., n] over the classes, [..., 1], with n − 1 as in the published codes; at least 0.01."""
    return logits.std(dim=-1, keepdim=True).clamp(min=SMALLEST_DEVIATION)


@dataclass(frozen=True, kw_only=True)
class SpreadPolicy(OwnRange, ABC):
    """τ of each network is ``base_tau`` standard deviations of its logits."""

    base_tau: float = 2.0
    temperature_only: bool = False

    def __post_init__(self) -> None:
        positive("base_tau", self.base_tau)
