"""When a comparison that stops once it is decided looks at its replicates: settled and recorded before its first run.

How a look judges is in :mod:`analysis.statistics.looks`; the rule is docs/decisions/until-decided.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tune_kd.errors import InputError

FIRST_LOOK = 5
MOST_REPLICATES = 40
LEVEL = 0.05  # of all looks together, for each question: is it another, is it equivalent?
USUAL_REFERENCE = "grid"


@dataclass(frozen=True, kw_only=True)
class Deciding:
    """The options of a comparison that stops once it is decided."""

    until_decided: bool = False
    max_replicates: int | None = None  # of each policy; None: MOST_REPLICATES

    def check(self, replicates: int) -> None:
        """See that the options go together, with ``replicates`` as they were asked for. Raises InputError."""
        if not self.until_decided:
            if self.max_replicates is not None:
                raise InputError("--max-replicates is for --until-decided; a plain comparison takes --replicates")
            return
        if replicates != 1:
            raise InputError(
                f"--until-decided adds replicates by itself, got --replicates {replicates}; bound them with "
                f"--max-replicates {replicates} instead"
            )
        if self.max_replicates is not None and self.max_replicates < 2:
            raise InputError(f"--max-replicates must be ≥ 2, got {self.max_replicates}; better {MOST_REPLICATES}")

    def looks(self, policies: Sequence[str]) -> Looks | None:
        """The looks of a comparison of these policies; None of a plain one. Raises InputError for one policy."""
        if not self.until_decided:
            return None
        if len(policies) < 2:
            raise InputError(f"--until-decided compares policies, got only {', '.join(policies)}; name two or more")
        reference = USUAL_REFERENCE if USUAL_REFERENCE in policies else policies[0]
        sizes = look_sizes(self.max_replicates or MOST_REPLICATES)
        return Looks(replicates=sizes, levels=look_levels(sizes), reference=reference)


PLAIN = Deciding()
"""A comparison with all the replicates that it was planned with."""


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The design of such a comparison, as its runs' rows have it."""

    replicates: tuple[int, ...]  # of each undecided policy at each look, ascending
    levels: tuple[float, ...]  # of each look's tests; their sum is that of all looks together
    reference: str  # the policy, as it was named, that the others are judged against

    def record(self) -> str:
        """As JSON, for the column ``looks_json``."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_record(cls, text: str) -> Looks:
        """The inverse of :meth:`record`."""
        parsed = json.loads(text)
        return cls(**{**parsed, "replicates": tuple(parsed["replicates"]), "levels": tuple(parsed["levels"])})


def look_sizes(most: int) -> tuple[int, ...]:
    """Five replicates, then twice as many at each look, and at the last one ``most``."""
    sizes = [FIRST_LOOK]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1])
    return (*sizes[:-1], most)


def look_levels(sizes: Sequence[int]) -> tuple[float, ...]:
    """The level of each look: its part of ``LEVEL``, in proportion to its replicates."""
    return tuple(LEVEL * (size / sum(sizes)) for size in sizes)
