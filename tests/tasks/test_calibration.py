"""Calibration error and reliability diagram, against values worked out by hand and by their definition."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_kd.tasks.calibration import BINS, calibration


def of(pairs: list[tuple[bool, float]]) -> dict[str, Any]:
    right, confidences = zip(*pairs, strict=True) if pairs else ((), ())
    return calibration(np.array(right, dtype=bool), np.array(confidences, dtype=np.float32))


def test_four_images_worked_out_by_hand() -> None:
    # Two in the bin above 0.6 (9/15 to 10/15): half of them right; one at 0.9 right, one at 1.0 wrong.
    found = of([(True, 0.61), (False, 0.65), (True, 0.9), (False, 1.0)])
    assert found["ece"] == pytest.approx((abs(1 - 1.26) + abs(1 - 0.9) + abs(0 - 1.0)) / 4, abs=1e-6)
    filled = {place: one for place, one in enumerate(found["reliability"]) if one["images"]}
    assert set(filled) == {9, 13, 14}
    assert filled[9] == pytest.approx({"images": 2, "accuracy": 0.5, "confidence": 0.63}, abs=1e-6)
    assert len(found["reliability"]) == BINS


pairs = st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=1, max_size=40)


@given(pairs)
def test_the_error_is_that_of_the_bins(answers: list[tuple[bool, float]]) -> None:
    found = of(answers)
    bins = [one for one in found["reliability"] if one["images"]]
    assert sum(one["images"] for one in bins) == len(answers)
    by_bins = sum(one["images"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / len(answers)
    assert found["ece"] == pytest.approx(by_bins, abs=1e-9)
    assert sum(one["images"] * one["accuracy"] for one in bins) == pytest.approx(sum(right for right, _ in answers))
    gap = abs(np.mean([right - confidence for right, confidence in answers]))
    assert gap - 1e-6 <= found["ece"] <= 1, "bins can only add to the distance of the means"


def test_images_without_an_answer_are_left_out() -> None:
    assert of([(True, 0.75), (False, math.nan)]) == of([(True, 0.75)])
    nothing = of([(False, math.nan)])
    assert nothing["ece"] is None
    assert nothing["reliability"] == [{"images": 0}] * BINS
