"""The pages that people read: their links lead somewhere, their commands exist, their calls run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tune_kd.cli.reference import all_commands

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    here = [target for target in targets if not target.startswith("https://")]
    assert [target for target in here if not (page.parent / target).exists()] == []


def test_the_index_of_the_docs_has_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page != DOCS / "README.md"]
    assert [page for page in pages if f"({page})" not in index] == []


def test_every_command_of_the_readme_has_the_options_that_it_shows() -> None:
    commands, unknown = all_commands(), []
    lines = [line.split(" #")[0] for line in README.splitlines() if line.startswith("tune-kd ")]
    assert len(lines) > 20
    for line in lines:
        words = shlex.split(line)[1:]
        [name] = [each for each in (" ".join(words[:2]), words[0]) if each in commands][:1]
        known = {option for parameter in commands[name].params for option in parameter.opts}
        unknown += [f"{name} {word}" for word in words if word.startswith("--") and word not in known]
    assert unknown == []


def test_the_calls_for_other_tools_read_a_store_below_a_folder_named_like_a_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "seed=3"
    shutil.copytree(DOCS / "results-store" / "trials", folder / "runs" / "trials")
    monkeypatch.chdir(folder)
    [code] = re.findall(r"```python\n(import duckdb.+?)```", README, re.DOTALL)
    head, calls = code.split("\n\n")
    names: dict[str, object] = {}
    exec(head, names)
    tables = [eval(call, names) for call in calls.splitlines()]
    rows = sum(pq.read_metadata(file).num_rows for file in (folder / "runs" / "trials").iterdir())
    assert [len(table) for table in tables] == [rows] * 4
    assert 3 not in set(tables[0]["seed"])  # the column of the records, not the folder's name
