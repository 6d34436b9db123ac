"""One constant τ, not searched: distillation as it is mostly done, τ = 4 by habit (Hinton et al. 2015).

Across trials: nothing, one training.
Within a trial: constant τ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from policies.base import Constant, Policy, Temperature, positive

if TYPE_CHECKING:
    from search_spaces import Space


@dataclass(frozen=True, kw_only=True)
class Fixed(Policy):
    """A τ that was chosen beforehand, within the space or not."""

    name: ClassVar[str] = "fixed"
    tau: float = 4.0

    def __post_init__(self) -> None:
        positive("tau", self.tau)

    def restart_params(self, space: Space) -> dict[str, float]:
        """Its own τ; nothing of the space."""
        return {"tau": self.tau}

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return Constant(self.tau)
