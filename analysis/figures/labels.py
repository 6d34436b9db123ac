"""Where the names of points stand beside them, so that none covers another name or a point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
GAP = 5.0  # between a point and its name
STEPS = (0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5)  # of a line's height, up or down


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Do they have a place in common?"""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def within(self, other: Box) -> bool:
        """Is it a part of the other?"""
        across = other.left <= self.left and self.right <= other.right
        return across and other.bottom <= self.bottom and self.top <= other.top


def placed(points: Sequence[Point], widths: Sequence[float], height: float, area: Box) -> list[Box | None]:
    """For each point the box of its name, ``widths`` wide, in the ``area``; None where there is no room for it.

    A name stands right of its point or left of it, on its height if it can, else some lines above or below.
    """
    taken = [Box(x - GAP, y - GAP, x + GAP, y + GAP) for x, y in points]
    order, found = sorted(range(len(points)), key=lambda i: -points[i][1]), dict[int, Box]()
    for i in order:
        (x, y), width = points[i], widths[i]
        for step in STEPS:
            bottom = y + (step - 0.5) * height
            sides = [Box(left, bottom, left + width, bottom + height) for left in (x + GAP, x - GAP - width)]
            free = [box for box in sides if box.within(area) and not any(box.meets(one) for one in taken)]
            if free:
                found[i] = free[0]
                taken.append(free[0])
                break
    return [found.get(i) for i in range(len(points))]
