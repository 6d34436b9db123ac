"""Opening and making stores: what is one, what is not, and what is said then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_records import contents, write_whole_run

from tune_kd.errors import InputError
from tune_kd.storage.cache import default_cache
from tune_kd.store import create_store, open_store
from tune_kd.store.columns import SCHEMA_VERSION


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Path:
    """A folder that even root cannot write: /proc is one on every Linux."""
    folder = Path("/proc/self")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    return folder


def test_a_missing_folder_becomes_a_store_with_its_parents(tmp_path: Path) -> None:
    create_store(tmp_path / "a" / "b")
    assert open_store(tmp_path / "a" / "b").runs().empty


def test_an_empty_folder_becomes_a_store_even_with_hidden_files_in_it(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    (tmp_path / "lost+found").mkdir()
    create_store(str(tmp_path))
    assert open_store(tmp_path).location == str(tmp_path)


def test_a_store_opened_again_keeps_its_records(tmp_path: Path) -> None:
    write_whole_run(create_store(tmp_path), "r")
    before = contents(open_store(tmp_path))
    assert contents(create_store(tmp_path)) == before


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"is not a tune-kd store and not empty \(it holds 'thesis.tex'\)"):
        create_store(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.tex"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(InputError, match="is a file; a store is a folder"):
        create_store(tmp_path / "runs")


def test_a_folder_that_cannot_be_written_is_refused(read_only_folder: Path) -> None:
    with pytest.raises(InputError, match=r"cannot make a store at .*; give a place that can be written"):
        create_store(read_only_folder / "runs")


def test_what_is_not_a_store_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a tune-kd store; it has no tune-kd-store\.json"):
        open_store(tmp_path)
    with pytest.raises(InputError, match="is not a tune-kd store; there is no such folder"):
        open_store(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a tune-kd store"):
        open_store(tmp_path / "file")


def test_a_store_of_a_newer_schema_is_refused_both_ways(tmp_path: Path) -> None:
    create_store(tmp_path)
    marker = tmp_path / "tune-kd-store.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "schema_version": 99}))
    for how in (open_store, create_store):
        with pytest.raises(InputError, match=f"is of schema version 99, and this tune-kd knows up to {SCHEMA_VERSION}"):
            how(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "something else", "schema_version": 1}', "[1]"])
def test_a_damaged_marker_is_refused(tmp_path: Path, text: str) -> None:
    create_store(tmp_path)
    (tmp_path / "tune-kd-store.json").write_text(text)
    with pytest.raises(InputError, match=r"is not a tune-kd store; its tune-kd-store\.json is damaged"):
        open_store(tmp_path)


def test_processes_that_make_one_store_at_once_all_get_it(tmp_path: Path) -> None:
    code = "import sys; from tune_kd.store import create_store; input(); create_store(sys.argv[1]); print('made')"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate()[0] for writer in writers] == ["made\n"] * 4


def test_importing_the_store_loads_nothing_heavy() -> None:
    heavy = {"pyarrow", "pandas", "duckdb", "torch", "ray"}
    code = f"import sys, tune_kd.store; print(*sorted({heavy} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path))
    assert default_cache() == tmp_path
    monkeypatch.delenv("TUNE_KD_CACHE")
    assert default_cache() == Path(os.path.expanduser("~")) / ".cache" / "tune-kd"  # noqa: PTH111
