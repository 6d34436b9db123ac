"""examples/read_store.ipynb runs from its first cell to its last, and shows what the published results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    """The names that the notebook has defined when its cells have run in their order."""
    cells = json.loads((EXAMPLES / "read_store.ipynb").read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch, matplotlib.rc_context({"backend": "agg"}):
        patch.chdir(EXAMPLES)
        exec(compile(code, "read_store.ipynb", "exec"), names)
    names["plt"].close(names["figure"])
    return names


def test_it_has_one_row_for_each_of_the_sixteen_policies(notebook: dict[str, Any]) -> None:
    summary = notebook["summary"]
    assert len(summary) == 16
    assert summary.notna().all(axis=None)
    assert 13 < summary.energy_j["grid"] / summary.energy_j["stochastic"] < 14  # docs/results.md: 13.7


def test_its_sql_counts_the_trials_of_every_policy(notebook: dict[str, Any]) -> None:
    counts = notebook["spread"].set_index("policy").trials
    assert (counts["grid"], counts["stochastic"]) == (20 * 19, 20)


def test_tau_falls_in_the_epochs_that_it_shows(notebook: dict[str, Any]) -> None:
    assert notebook["epochs"].tau_mean.is_monotonic_decreasing
