"""Whether a classifier knows more than which class is the largest, in one line."""

from __future__ import annotations

import math

from tune_kd.formats import percent

DEVIATIONS = 1.645  # of a share counted on so many images: one in twenty guesses gets further


def no_better(accuracy: float, largest_class: float, images: float) -> str | None:
    """Said of an accuracy on ``images`` that is not above what always naming the largest class scores; else None.

    Both are fractions. What lies above by no more than luck explains is said to be no better so far as can be told.
    Where something is not known, NaN, nothing can be said.
    """
    luck = DEVIATIONS * math.sqrt(largest_class * (1 - largest_class) / images)
    if not accuracy <= largest_class + luck:
        return None
    told = f", as far as {images:.0f} images tell" if accuracy > largest_class else ""
    return (
        f"validation {percent(accuracy)}, the largest class is {percent(largest_class)}: "
        f"no better than always naming it{told}"
    )
