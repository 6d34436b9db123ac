"""Our temporary folders: removed when their owner is done or dead, and nothing else ever is."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tune_kd.cluster.session import LONGEST_FOLDER_BYTES
from tune_kd.errors import InputError
from tune_kd.storage import scratch
from tune_kd.storage.scratch import own_folder, remove_abandoned

OWNER = """
from tune_kd.storage.scratch import own_folder
with own_folder() as folder:
    (folder / "session").mkdir()
    (folder / "session" / "log").write_text("…", encoding="utf-8")
    print(folder, flush=True)
    input()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder of its own in ``place``."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_folder_is_ours_for_as_long_as_it_is_used(place: Path) -> None:
    with own_folder() as folder:
        assert folder.parent == place
        (folder / "left").write_text("…", encoding="utf-8")
    assert list(place.iterdir()) == []


def test_a_living_owner_keeps_its_folder_and_a_dead_ones_is_removed(
    owner: tuple[subprocess.Popen[str], Path], place: Path
) -> None:
    process, folder = owner
    remove_abandoned(place)
    assert (folder / "session" / "log").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    copy = shutil.copytree(folder, place / "tune-kd-results")
    remove_abandoned(place)
    assert not folder.exists()
    assert (copy / "session" / "log").exists(), "a copy is its user's, whatever is in it"


@pytest.mark.parametrize("name", ["tune-kd-20261126-results", "tune-kd-20261127-store", "tune-kd-99999999-abcdefgh"])
def test_what_is_not_ours_is_left_alone_whatever_its_name(name: str, place: Path) -> None:
    (place / name).mkdir()
    (place / name / "results.csv").write_text("1", encoding="utf-8")
    (place / "tune-kd-file").write_text("1", encoding="utf-8")
    (place / "tune-kd-link").symlink_to(place / name)
    before = sorted(place.rglob("*"))
    remove_abandoned(place)
    assert sorted(place.rglob("*")) == before, "not even a lock file is left in it"


def test_the_mark_of_another_folder_is_not_enough(place: Path) -> None:
    (place / "tune-kd-other").mkdir()
    (place / "tune-kd-other" / scratch.OWNER).write_text("a temporary folder of tune-kd: another\n", encoding="utf-8")
    remove_abandoned(place)
    assert (place / "tune-kd-other").is_dir()


def test_a_place_that_is_too_long_for_sockets_is_passed_over(place: Path) -> None:
    assert len(str(place)) > LONGEST_FOLDER_BYTES, "pytest's are"
    with own_folder(longest_bytes=LONGEST_FOLDER_BYTES) as folder:
        assert folder.parent in (Path("/tmp"), Path("/var/tmp"))
        assert len(str(folder)) <= LONGEST_FOLDER_BYTES


def test_no_place_at_all_is_said_in_one_line_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setattr(scratch, "places", lambda: [tmp_path / "file", tmp_path / "absent"])
    with pytest.raises(InputError) as refused, own_folder():
        pass
    assert str(refused.value) == (
        f"no place for temporary files: {tmp_path / 'file'}: Not a directory, {tmp_path / 'absent'}: No such file or "
        "directory; set TMPDIR to a short path that is writable"
    )


def test_rays_sockets_fit_into_the_longest_folder() -> None:
    ray_names_it = "/session_2026-11-27_07-05-42_074123_4194304/sockets/plasma_store"
    assert LONGEST_FOLDER_BYTES + len(ray_names_it) == (107 if sys.platform == "linux" else 103)
