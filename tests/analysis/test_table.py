"""Tables for a terminal: units that suit the figures, labels that break between words."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from analysis.rendering.table import Table, rich_table
from analysis.summary import SHOWN_UNITS, shown_unit
from tune_kd.terminal.table import Words


@pytest.mark.parametrize(
    ("currency", "largest", "unit"),
    [
        ("energy", 3.6e6, "kWh"),
        ("energy", 3.5e6, "Wh"),
        ("energy", 3600, "Wh"),
        ("energy", 3599, "mWh"),
        ("flops", 1e15, "PFLOPs"),
        ("flops", 9e14, "TFLOPs"),
        ("flops", 6e9, "GFLOPs"),
        ("co2e", 1.0, "g CO2e"),
        ("co2e", 0.9, "mg CO2e"),
        ("time", 7200, "h"),
        ("time", 90, "min"),
        ("time", 9, "s"),
    ],
)
def test_a_unit_is_one_that_the_largest_cost_reaches(currency: str, largest: float, unit: str) -> None:
    assert shown_unit(currency, pd.Series([largest / 100, largest, None]))[0] == unit


@pytest.mark.parametrize("currency", SHOWN_UNITS)
def test_costs_that_nobody_measured_have_a_unit_all_the_same(currency: str) -> None:
    assert shown_unit(currency, pd.Series([None, None], dtype=float)) in SHOWN_UNITS[currency]


def shown(label: str, width: int) -> list[str]:
    """The label's lines in a column so many characters wide."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(Words(label))
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.rstrip() for line in output.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (30, ["annealing:shape=exponential"]),
        (20, ["annealing:shape=", "exponential"]),
        (11, ["annealing:", "shape=", "exponential"]),
    ],
)
def test_a_label_breaks_between_its_words(width: int, lines: list[str]) -> None:
    assert shown("annealing:shape=exponential", width) == lines


def test_a_label_breaks_after_a_hyphen() -> None:
    assert shown("stochastic-per-sample", 11) == ["stochastic-", "per-sample"]


@given(label=st.text(alphabet="ab:=,/_.- ", min_size=1).filter(str.strip), width=st.integers(1, 30))
def test_no_character_of_a_label_is_lost(label: str, width: int) -> None:
    assert "".join("".join(shown(label, width)).split()) == "".join(label.split())


def test_a_narrow_table_wraps_its_label_and_cuts_no_number() -> None:
    table = Table(
        title="t",
        headers=["policy", "test %"],
        rows=[["annealing:shape=exponential", "90.9 ±1.5"]],
        data=pd.DataFrame(),
    )
    console = Console(file=io.StringIO(), width=24, color_system=None)
    console.print(rich_table(table))
    output = console.file
    assert isinstance(output, io.StringIO)
    words = output.getvalue().split()
    assert words[-5:] == ["annealing:", "90.9", "±1.5", "shape=", "exponential"]
