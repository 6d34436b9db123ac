"""The real thing, on the embedded digits: what a user sees, on which stream, with which exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ENTRY_POINT = str(Path(sys.executable).with_name("tune-kd"))
SMALL = ["--train-limit", "400", "--epochs", "2", "--set", "teacher_recipe.epochs=2"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A cache of its own, shared by the tests here: one teacher for all of them."""
    return {**os.environ, "TUNE_KD_CACHE": str(tmp_path_factory.mktemp("cache"))}


def test_compare_shows_progress_on_stderr_and_the_ranking_on_stdout(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [ENTRY_POINT, "compare", "--policies", "grid,stochastic", "--budget", "2trials", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    trials = [line for line in done.stderr.splitlines() if re.search(r": trial \d of \d, τ .+, 2 epochs, val ", line)]
    assert [line.partition(":")[0] for line in trials] == ["grid r0", "grid r0", "stochastic r0"]
    ranking, _, ending = done.stdout.rpartition("\n\n")
    assert {line.split()[0] for line in ranking.splitlines()[3:5]} == {"grid", "stochastic"}
    assert "./runs" in ending.splitlines()[0]
    assert ending.splitlines()[1] == "Go on with: tune-kd report"
    again = subprocess.run([ENTRY_POINT, "report"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == ranking.strip()


def test_json_is_all_there_is_on_stdout(environment: dict[str, str], tmp_path: Path) -> None:
    command = [ENTRY_POINT, "run", "--policy", "stochastic", "--json", "--quiet", "--store", "records", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert [(run["policy"], run["status"]) for run in document["runs"]] == [("stochastic", "completed")]
    assert document["table"][0]["energy_j"] > 0
    assert document["store"] == "records"


def test_an_interrupted_study_says_in_one_line_how_to_go_on(environment: dict[str, str], tmp_path: Path) -> None:
    command = [ENTRY_POINT, "run", "--policy", "grid", *SMALL]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if ": trial 1 of 19" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read().splitlines()
        assert process.wait() == 130
    assert rest[-1].startswith("tune-kd: interrupted")
    assert "tune-kd resume" in rest[-1]
    assert "Traceback" not in "".join(rest)
