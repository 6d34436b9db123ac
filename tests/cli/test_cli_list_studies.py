"""``list studies``: data, figures and energy of the paper's studies, quickly, and without touching anything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_records import sealed_store

from tune_kd.cli import command_line
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.paper_scales import SCALES
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.store import open_store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with CIFAR-10 as its archive unpacks it, and Tiny ImageNet as a folder of images."""
    for folder in ("cifar-10-batches-py", "tiny-imagenet"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    return tmp_path / "data"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command_line(["list", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def studies(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found = json.loads(said(capsys, "studies", "--json", *arguments))
    return {study["study"]: study for study in found["studies"]}


def where(tmp_path: Path) -> list[str]:
    return [
        "--store",
        str(tmp_path / "runs"),
        "--cache",
        str(tmp_path / "cache"),
        "--data-root",
        str(tmp_path / "data"),
    ]


def test_a_study_is_listed_with_its_data_and_with_its_figures_at_both_scales(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "studies", *where(tmp_path))
    [found] = [re.split(" {2,}", line) for line in text.splitlines() if line.startswith("table4 ")]
    # 19 values of τ and one random one, of three losses on four data sets; of each data set the student alone, too.
    trainings = 4 * (3 * 20 + 1)
    assert found[:4] == [
        "table4",
        "losses × data sets",
        "cifar10, cifar100↓, tiny-imagenet, voc↓",
        f"{5 * trainings:,} / {trainings}",
    ]
    assert found[4] == f"{5 * 3 * 61 * 100 + 5 * 61 * 70:,} / {trainings * 5:,}"
    assert f"↓ not in {root}" in text


def test_the_document_has_every_study_and_what_is_here(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = studies(capsys, *where(tmp_path))
    assert list(found) == list(STUDIES)
    here = {name: here for study in found.values() for name, here in study["data_sets"].items()}
    assert here == {"cifar10": True, "cifar100": False, "tiny-imagenet": True, "voc": False}
    for study in found.values():
        assert tuple(study["scales"]) == SCALES
        assert all(scale["flops"] > 0 and scale["costs"] is None for scale in study["scales"].values())


def test_data_are_looked_for_in_the_cache_where_no_root_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache" / "datasets" / "VOCdevkit").mkdir(parents=True)
    found = studies(capsys, *where(tmp_path)[:4])
    assert found["table4-voc"]["data_sets"] == {"voc": True}


def test_energy_is_forecast_where_trials_of_all_parts_are_recorded_and_left_out_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (part,) = plan_parts("table5", scale="small")
    sealed_store(tmp_path / "runs", part)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = studies(capsys, *where(tmp_path))
    costs = {name: found[name]["scales"]["small"]["costs"] for name in ("table5", "table1")}
    assert costs["table5"]["energy_j"] == pytest.approx(20 * _mean_energy(tmp_path / "runs"))
    assert (costs["table1"], found["table5"]["scales"]["full"]["costs"]) == (None, None)
    shown = said(capsys, "studies", *where(tmp_path)).splitlines()
    [row] = [re.split(" {2,}", line) for line in shown if line.startswith("table5 ")]
    assert re.fullmatch(r"— / [0-9.]+ m?Wh", row[-1])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def _mean_energy(store: Path) -> float:
    trials = open_store(store).trials()
    return float(trials.loc[trials["tau"].notna(), "energy_j"].mean())


def test_it_loads_no_library_that_takes_long_and_makes_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from tune_kd.cli import command_line; code = command_line(sys.argv[1:]); "
        "heavy = ('torch', 'torchvision', 'ray', 'numpy', 'pandas', 'pyarrow', 'duckdb'); "
        "sys.exit(code or ', '.join(name for name in heavy if name in sys.modules) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, "list", "studies", *where(tmp_path)], check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_it_fits_a_narrow_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = said(capsys, "studies", *where(tmp_path)).split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= width
    assert "…" not in "".join(table)


@pytest.mark.parametrize("what", ["policies", "recipes"])
def test_other_lists_are_objects_by_their_headers(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(said(capsys, what, "--json"))
    assert all("what it is" in row for row in rows)
    assert [next(iter(row.values())) for row in rows] == [
        line.split()[0] for line in said(capsys, what).splitlines()[1:] if not line.startswith(" ")
    ]
