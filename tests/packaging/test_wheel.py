"""What a release holds: the sdist everything, the wheel all packages; installed, it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from tune_kd import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("analysis", "policies", "search_spaces", "tune_kd")
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
NOT_OURS = {".git", ".venv", "build", "dist", "runs"}


def files_below(folder: Path) -> set[str]:
    found = (file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(folder).as_posix() for file in found}


def built(what: str, source: Path, into: Path) -> Path:
    """The sdist or wheel of a source tree, built without a network."""
    command = [sys.executable, "-c", BUILD, f"build_{what}", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    [file] = into.iterdir()
    return file


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree without what is no part of it."""
    folder = tmp_path_factory.mktemp("checkout") / "tune-kd"
    caches = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", ".hypothesis")

    def ignored(place: str, names: list[str]) -> set[str]:
        return caches(place, names) | (NOT_OURS & set(names) if Path(place) == ROOT else set())

    shutil.copytree(ROOT, folder, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def unpacked(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of it, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", checkout, folder / "dist")) as archive:
        archive.extractall(folder, filter="data")
    [source] = [path for path in folder.iterdir() if path.name != "dist"]
    return source


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is made of the sdist."""
    return built("wheel", unpacked, tmp_path_factory.mktemp("wheel") / "dist")


@pytest.mark.slow
def test_the_sdist_has_every_file_of_a_checkout(checkout: Path, unpacked: Path) -> None:
    missing = files_below(checkout) - files_below(unpacked)
    assert {name for name in missing if not name.startswith("tune_kd.egg-info/")} == set()


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages_and_no_other_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    ours = {f"{package}/{name}" for package in PACKAGES for name in files_below(ROOT / package)}
    assert ours - held == set()
    assert {name.split("/")[0] for name in held} == {*PACKAGES, f"tune_kd-{__version__}.dist-info"}


@pytest.mark.slow
def test_installed_in_a_fresh_environment_it_lists_and_runs(wheel: Path, tmp_path: Path) -> None:
    environment, folder = tmp_path / "venv", tmp_path / "somewhere"
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    command = [sys.executable, "-m", "pip", "--python", str(environment), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    python, tune_kd = environment / "bin" / "python", environment / "bin" / "tune-kd"
    [site] = environment.glob("lib/python*/site-packages")
    # What it depends on is borrowed from this environment; the packages themselves are the wheel's.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    code = f"import importlib; print([importlib.import_module(name).__file__ for name in {PACKAGES!r}])"

    def said(*words: str | Path) -> str:
        own = {name: os.environ[name] for name in ("PATH", "TUNE_KD_METERS")}
        own |= {"TUNE_KD_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path)}
        done = subprocess.run(words, cwd=folder, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said(python, "-c", code).count(str(site)) == len(PACKAGES)
    assert "stochastic" in said(tune_kd, "list", "policies")
    short = ["--epochs", "1", "--set", "teacher_recipe.epochs=1", "--train-limit", "300"]
    assert "digits" in said(tune_kd, "run", "--policy", "fixed", *short, "--quiet")
    assert said(tune_kd, "report", "--html", "report.html").startswith("digits")
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")
