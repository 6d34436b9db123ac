"""Paths: a folder's name above a store is no data and no pattern, whoever reads, packs, merges or exports."""

from __future__ import annotations

import ast
import functools
import io
import re
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from cli_records import sealed_store, study
from store_records import contents

from tune_kd.cli import command_line
from tune_kd.errors import InputError
from tune_kd.own_packages import ROOT
from tune_kd.store import Store, create_store, open_store
from tune_kd.store.schema import document

# Folders above a store, one in the other: values of our columns, patterns, and what only looks like more than a name.
VALUES = "seed=3/policy=mine/run_id=x/status=old/epoch=1/cpus=%31/tau=oops"
PATTERNS = "a*b/[x]/q?/**/[!y]"
PLAIN = "with space/ünï/{a,b}/%20/#x/back\\slash/it's/$HOME/~"
ABOVE = {"values": VALUES, "star": "a*b", "patterns": PATTERNS, "plain": PLAIN}
MATCHED = ("aXb", "aXb/x/qX/deep/z")  # by the patterns
EVERYWHERE = pytest.mark.parametrize("below", ABOVE, indirect=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two runs of two trials, below a folder of no odd name."""
    store = sealed_store(tmp_path_factory.mktemp("plain") / "runs", study(["grid", "stochastic"]))
    for run_id in store.runs()["run_id"]:
        store.write_nodes(run_id, [{"node_id": "node", "cpus": 2}])
    return store


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Files of the same names, with other seeds."""
    return sealed_store(tmp_path_factory.mktemp("other") / "runs", study(["grid", "stochastic"], seed=5), trials=1)


@pytest.fixture(scope="module")
def expected(plain: Store) -> dict[str, list[dict[str, Any]]]:
    return contents(plain)


@pytest.fixture
def below(plain: Store, other: Store, tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """A copy of the store below some folders, and other ones where the patterns of their names would find them."""
    root = tmp_path / ABOVE[request.param] / "runs"
    shutil.copytree(plain.location, root)
    for matched in MATCHED:
        shutil.copytree(other.location, tmp_path / matched / "runs")
    return open_store(root)


@functools.cache
def said(store: Store, *words: str) -> str:
    """What a command prints of the store, which is called STORE; of one store it is asked once."""
    where = [store.location] if words == ("report",) else ["--store", store.location]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        assert command_line([*words, *where]) == 0
    assert err.getvalue() == ""
    return out.getvalue().replace(store.location, "STORE")


@pytest.fixture(scope="module")
def texts(plain: Store, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is exported of the store below a folder of no odd name."""
    return [file.read_text() for file in plain.export(tmp_path_factory.mktemp("texts"))]


@EVERYWHERE
def test_a_store_is_read_and_kept_the_same_below_any_folder(
    below: Store, plain: Store, expected: dict[str, list[dict[str, Any]]], texts: list[str]
) -> None:
    folder = Path(below.location).parent
    assert contents(below) == expected
    assert below.list_runs().equals(plain.list_runs())
    merged = create_store(folder / "all")
    assert len(merged.merge(below).added) == 2
    assert contents(merged) == expected
    below.compact()
    assert contents(open_store(below.location)) == expected
    assert [file.read_text() for file in below.export(folder / "exported")] == texts
    for store in (below, merged):
        assert [*store.verify(), *store.uncompared()] == []


@EVERYWHERE
def test_commands_say_the_same_of_a_store_below_any_folder(below: Store, plain: Store) -> None:
    run_id = plain.runs()["run_id"][0]
    for words in (("store", "ls"), ("store", "show", run_id), ("store", "verify"), ("report",)):
        assert said(below, *words) == said(plain, *words)


def column(read: Any, name: str) -> list[Any]:
    """A column of what one of the tools read, sorted."""
    table = read.to_arrow_table() if isinstance(read, duckdb.DuckDBPyRelation) else read
    return sorted(map(str, pa.array(table[name]).to_pylist()))


@EVERYWHERE
def test_the_documents_lines_for_other_tools_read_what_we_read(
    below: Store, expected: dict[str, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    [block] = re.findall(r"```python\nimport [^\n]*\n\n(.*?)```", document(), re.DOTALL)
    sql = next(text for text in re.findall(r"`([^`]*)`", document()) if text.startswith("FROM"))
    lines = [*block.splitlines(), f"duckdb.sql({sql!r})"]
    assert len(lines) == 5
    tools = {"duckdb": duckdb, "pd": pd, "pl": pl, "ds": ds, "pq": pq}
    monkeypatch.chdir(Path(below.location).parent)
    whole = f'"{below.location}/trials"'.replace("\\", "\\\\")
    absolute = [line.replace('"runs/trials"', whole) for line in lines if line is not lines[-1]]
    for line in (*lines, *absolute):
        read = eval(line, tools)
        for name in ("seed", "run_id", "trial_id", "status", "tau"):
            assert column(read, name) == column(pa.Table.from_pylist(expected["trials"]), name), line


def test_the_readmes_lines_for_other_tools_are_the_documents() -> None:
    [block] = re.findall(r"```python\nimport [^\n]*\n\n.*?```", document(), re.DOTALL)
    assert block in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_mirror_of_a_store_at_a_url_may_lie_below_any_folder(
    plain: Store, expected: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    store = create_store("memory://paths/a*b/seed=3", cache=tmp_path / "a*b" / "seed=3")
    other = create_store("memory://paths/aXb/seed=3", cache=tmp_path / "other")
    for each in (store, other):
        each.merge(plain)
        each.compact()
    store.remove_run(expected["runs"][0]["run_id"])
    assert contents(other) == expected
    assert len(contents(store)["runs"]) == 1
    assert store.verify() == other.verify() == []


def test_a_number_sign_in_a_url_is_refused_where_it_would_be_dropped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'#' ends the path in a URL; write %23"):
        create_store("s3://bucket/a?region=us-east-1#b/runs", cache=tmp_path)


# What reads or writes Parquet by a path, in the libraries that we have.
RAW = {"read_parquet", "scan_parquet", "parquet_scan", "read_table", "read_schema", "read_metadata", "ParquetFile"}
RAW |= {"ParquetDataset", "ParquetWriter", "write_table", "write_to_dataset", "to_parquet", "dataset", "from_parquet"}
LIBRARIES = {"pq", "pd", "pl", "ds", "duckdb", "pandas", "polars", "connection", "pyarrow"}


@pytest.mark.parametrize("package", ["tune_kd", "analysis", "policies", "search_spaces", "benchmarks"])
def test_parquet_is_opened_by_paths_in_one_place_of_the_store_and_one_of_the_data(package: str) -> None:
    places = {ROOT / "tune_kd/store/files/parquet.py", ROOT / "tune_kd/data/parquet.py"}
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in sorted({*(ROOT / package).rglob("*.py")} - places)
        for line in openings(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert found == []


def openings(tree: ast.AST) -> Iterator[int]:
    """The lines that open Parquet by a path: calls of the libraries, and SQL."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            if node.func.value.id in LIBRARIES and node.func.attr in RAW:
                yield node.lineno
        elif isinstance(node, ast.Constant) and re.match(r"(read_parquet|parquet_scan)\(", str(node.value)):
            yield node.lineno
