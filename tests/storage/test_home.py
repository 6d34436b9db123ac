"""Users without a home folder, or with one that they cannot write: it works, or one line says what to give."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from tune_kd.errors import InputError
from tune_kd.storage import home
from tune_kd.storage.cache import Cache, unwritable


@pytest.fixture
def below_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that nobody can write, the superuser included: a file is in its place."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "TUNE_KD_CACHE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "file"


def test_a_process_whose_user_is_unknown_gets_the_root_as_home(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = max(user.pw_uid for user in pwd.getpwall() if user.pw_uid < 2**31) + 1
    monkeypatch.setenv("HOME", "/somewhere")
    home.settle()
    assert os.environ["HOME"] == "/somewhere"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: unknown)
    home.settle()
    assert os.environ["HOME"] == "/"


def test_ray_gets_a_secret_where_it_cannot_keep_one(below_a_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(home.ray_token()["RAY_AUTH_TOKEN"]) >= 32
    assert home.ray_token() != home.ray_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/given")
    assert home.ray_token() == {}


def test_ray_keeps_its_own_secret_where_it_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home.ray_token() == {}


def test_a_cache_that_cannot_be_made_is_said_before_anything_is_spent(below_a_file: Path) -> None:
    with pytest.raises(InputError) as refused:
        Cache(below_a_file / ".cache" / "tune-kd").check_folder()
    assert str(refused.value) == (
        f"the cache {below_a_file}/.cache/tune-kd cannot be made: {below_a_file} cannot be written; "
        "give a folder that can be with --cache DIR or TUNE_KD_CACHE"
    )


def test_a_folder_that_can_be_made_is_not_made(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "a" / "b") is None
    assert list(tmp_path.iterdir()) == []
