"""Figures of a benchmark in stages: each written as soon as it is known, then shown together in JSON and Markdown."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

FAILED = "failed: "
NOTHING = "—"
LONGEST = 300  # characters of an error


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. None: it was not measured, and the note says why. The unit ``share`` is a fraction of 1."""

    what: str
    value: float | str | None
    unit: str = ""
    note: str = ""


class Figures:
    """The figures of one stage, a line of JSON each in ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, what: str, value: float | str | None, unit: str = "", note: str = "") -> None:
        if isinstance(value, float) and not math.isfinite(value):
            value, note = None, f"{value}: not a finite number{f', {note}' if note else ''}"
        figure = Figure(what=what, value=value, unit=unit, note=note)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figure)) + "\n")
        print(f"{what}: {shown(figure)}{f' ({note})' if note else ''}", flush=True)

    def none(self, what: str, why: str) -> None:
        """There is no such figure here."""
        self.add(what, None, note=why)

    @contextmanager
    def measuring(self, what: str) -> Iterator[None]:
        """What fails in the ``with`` block costs its own figures alone: the stage goes on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            text = str(error).strip().splitlines() or [""]
            self.none(what, f"{FAILED}{type(error).__name__}: {text[-1][:LONGEST]}")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A stage that has ended: how it ended, after how many seconds, and its figures up to then."""

    name: str
    title: str
    outcome: str
    limit_s: float
    took_s: float
    figures: Sequence[Figure]


def read(path: Path) -> list[Figure]:
    """The figures that a stage has written; none where it came to none. A line cut off by its end is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [Figure(**json.loads(line)) for line in lines if line.endswith("\n")]


def shown(figure: Figure) -> str:
    """Value and unit as people read them."""
    value, unit = figure.value, figure.unit
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if unit == "share":
        return f"{value:.2%}".replace("%", " %")
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"
    return f"{text} {unit}".strip()


def markdown(sections: Sequence[Section]) -> str:
    """A table of each stage, ready for a page."""
    lines: list[str] = []
    for section in sections:
        lines += [
            f"### {section.title}",
            "",
            f"{section.outcome}, {section.took_s:.0f} s of {section.limit_s:.0f}.",
            "",
        ]
        if section.figures:
            lines += ["| what | measured | note |", "|---|---|---|"]
            lines += [f"| {one.what} | {shown(one)} | {_cell(one.note)} |" for one in section.figures]
            lines += [""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
