"""Tables at every width: a name or a number that is shown is whole, and what is not is named."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tune_kd.terminal.listing import Listing, table_of
from tune_kd.terminal.table import Column, FittedTable

NAMES = st.from_regex(r"[a-z]{1,12}([:=-][a-z]{1,12}){0,3}", fullmatch=True)
FIGURES = st.from_regex(r"[0-9]{1,5}\.[0-9]{1,3}( ±[0-9]\.[0-9])?", fullmatch=True)


@st.composite
def tables(draw: st.DrawFn) -> FittedTable:
    """Names, and some columns of figures under capitals."""
    rows, width = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    names = Column(header="N", cells=[draw(NAMES) for _ in range(rows)], words=True)
    headers = [draw(st.from_regex(r"[A-Z]{1,6}( [A-Z%]{1,4})?", fullmatch=True)) + "Q" * i for i in range(width)]
    figures = [Column(header=header, cells=[draw(FIGURES) for _ in range(rows)], right=True) for header in headers]
    least = draw(st.permutations(range(1, width + 1)))[: draw(st.integers(0, width))]
    return FittedTable(columns=[names, *figures], least=least, ruled=draw(st.booleans()))


def printed(table: FittedTable, width: int, encoding: str = "utf-8") -> list[str]:
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=output, width=width, color_system=None, highlight=False, markup=False).print(table)
    output.seek(0)
    return [line.rstrip() for line in output.read().splitlines()]


@settings(max_examples=60)
@given(table=tables(), width=st.integers(20, 200))
def test_whatever_is_shown_at_whatever_width_is_whole(table: FittedTable, width: int) -> None:
    lines = printed(table, width)
    assert max(map(len, lines)) <= width
    said = " ".join(lines).partition("left out for want of room: ")
    shown, left_out = said[0], said[2]
    assert "".join(filter(str.islower, shown)) == "".join(filter(str.islower, "".join(table.columns[0].texts)))
    for column in table.columns[1:]:
        whole = all(text in shown for text in column.texts)
        assert whole or all(word in left_out for word in column.header.split()), column


SCENARIO_LEFT_OUT = ["left out for want of room:", "scenario; a wider terminal, or", "COLUMNS=120, has them"]


def listing(rows: Sequence[tuple[str, ...]]) -> Listing:
    return Listing(headers=("run", "scenario", "status", "val %"), rows=rows, least=("scenario",))


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (36, ["run      scenario  status     val %", "s1-grid  digits    completed  80.0"]),
        (30, ["run      status     val %", "s1-grid  completed  80.0", *SCENARIO_LEFT_OUT]),
    ],
)
def test_the_least_important_column_goes_first_and_is_named(width: int, lines: list[str]) -> None:
    assert printed(table_of(listing([("s1-grid", "digits", "completed", "80.0")])), width) == lines


def test_what_has_no_place_to_break_and_no_room_goes_on_in_the_next_line() -> None:
    table = table_of(Listing(headers=("column", ""), rows=[("split_sha256", "0123456789abcdef" * 4)]))
    assert "".join(line[14:] for line in printed(table, 40)) == "0123456789abcdef" * 4


def test_a_terminal_without_greek_has_columns_that_are_as_wide_as_their_spelling() -> None:
    columns = [Column(header="policy", cells=["grid", "τ"]), Column(header="Δ pp", cells=["±1", "→ 2"], right=True)]
    lines = printed(FittedTable(columns=columns), 40, encoding="ascii")
    assert lines == ["policy  delta pp", "grid         +-1", "tau         -> 2"]
