"""What a shell completes. Policies and models are left out: to name them loads torch, and a TAB must not wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tune_kd.planning.paper_catalogue import STUDIES

FORMATS = ("table", "md", "csv", "json", "latex")
WIDTHS = ("column", "page")
ORDERS = ("energy", "flops", "co2e", "time", "epochs", "accuracy", "named")
DOCUMENTS = ("md", "latex", "csv", "json")
CURRENCIES = ("energy", "flops", "co2e", "time", "epochs")
PAPER_STUDIES = tuple(STUDIES)
SCALES = ("full", "small")
TRACKS = ("recipe", "budget", "target")
RECIPES = ("default", "paper", "authors")
SYNTHESES = ("deep-inversion", "cmi", "fast", "noise", "real")
LOSSES = ("hkd", "cmc", "cmc-tau", "dml", "dml-tau", "ce")

Completion = Callable[[], list[str]]


def one_of(choices: Sequence[str]) -> Completion:
    """A completion that offers ``choices``."""
    return lambda: list(choices)


def scenario_presets() -> list[str]:
    """The names of the scenario presets."""
    return sorted(path.stem for path in (Path(__file__).parents[1] / "config" / "scenarios").glob("*.toml"))


def spaces() -> list[str]:
    """The names of the search spaces."""
    from search_spaces import SPACES

    return list(SPACES)
