"""Started from a folder with packages of our names, the right code runs, in the driver and on the workers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packages_copy import copy_packages

import tune_kd

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import tune_kd

if __name__ == "__main__":
    settings = {"recipe.epochs": 1, "teacher_recipe.epochs": 1, "student": "nets:student"}
    tune_kd.run("stochastic", settings=settings, store="runs", cache=sys.argv[1])
"""
NETS = """
from torch import nn

def student(*, classes, channels, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size**2, classes))
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
    return tmp_path


@pytest.mark.parametrize("how", ["script", "command"])
def test_our_packages_are_ours_wherever_a_study_starts(hostile_folder, cache, how):
    """And the standard library is Python's: a command imports nothing of the folder where it is given.

    A script does: its own modules are found on the workers, too.
    """
    if how == "script":
        (hostile_folder / "study.py").write_text(SCRIPT)
        (hostile_folder / "nets.py").write_text(NETS)
    else:
        (hostile_folder / "statistics.py").write_text("raise ImportError('the wrong statistics')")
    tune_kd_command = str(Path(sys.executable).with_name("tune-kd"))
    words = {
        "script": [sys.executable, "study.py", str(cache)],
        "command": [tune_kd_command, *COMMAND, "--cache", str(cache)],
    }[how]
    done = subprocess.run(words, cwd=hostile_folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = tune_kd.open_store(hostile_folder / "runs")
    assert store.trials().status.tolist() == ["completed"]


def test_a_command_in_an_older_clone_runs_the_installed_code(tmp_path, cache):
    clone = copy_packages(tmp_path / "clone")
    with (clone / "policies" / "grid.py").open("a", encoding="utf-8") as source:
        source.write("\nOLDER = True\n")
    words = [Path(sys.executable).with_name("tune-kd"), *COMMAND, "--cache", cache]
    done = subprocess.run(words, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert tune_kd.open_store(clone / "runs").trials().status.tolist() == ["completed"]
