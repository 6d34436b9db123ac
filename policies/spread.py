"""What the methods share whose τ is in proportion to the spread of each sample's logits."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

from torch import Tensor

from policies.base import OwnRange, positive

# The published codes divide by the standard deviation as it is, or add 1e-7, and the gradient grows as its inverse: a
# network whose logits are still all but equal, as with a last layer that begins at zero, would be thrown away by one
# step. Where logits differ at all they differ by more than this: those of a network just initialised by about 0.1.
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
