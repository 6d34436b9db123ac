"""Started from a folder with packages of our names, the right code runs, in the driver and on the workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from house_copy import copy_house

import tune_kd

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import tune_kd

if __name__ == "__main__":
    settings = {"recipe.epochs": 1, "teacher_recipe.epochs": 1}
    tune_kd.run("stochastic", settings=settings, store="runs", cache=sys.argv[1])
"""
COMMAND = ["run", "--policy", "stochastic", "--epochs", "1", "--set", "teacher_recipe.epochs=1", "--quiet"]


@pytest.fixture
def hostile_folder(tmp_path):
    """A folder whose packages have our names and cannot be imported without a crash."""
    for name in ("policies", "analysis", "search_spaces"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text(f"raise RuntimeError('the wrong {name}')")
        (package / "base.py").write_text(f"raise RuntimeError('the wrong {name}')")
    (tmp_path / "study.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.parametrize("how", ["script", "command"])
def test_our_packages_are_ours_wherever_a_study_starts(hostile_folder, cache, how):
    tune_kd_command = str(Path(sys.executable).with_name("tune-kd"))
    words = {
        "script": [sys.executable, "study.py", str(cache)],
        "command": [tune_kd_command, *COMMAND, "--cache", str(cache)],
    }[how]
    done = subprocess.run(words, cwd=hostile_folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = tune_kd.open_store(hostile_folder / "runs")
    assert store.trials().status.tolist() == ["completed"]


def test_a_command_in_an_older_clone_is_refused(tmp_path, cache):
    clone = copy_house(tmp_path / "clone")
    with (clone / "policies" / "grid.py").open("a", encoding="utf-8") as source:
        source.write("\nOLDER = True\n")
    words = [Path(sys.executable).with_name("tune-kd"), *COMMAND, "--cache", cache]
    done = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "runs other code than the driver" in done.stderr
    assert "start the command in another folder" in done.stderr
