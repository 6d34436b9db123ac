"""The real thing, on the embedded digits: what a user sees, on which stream, with which exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tune_kd.store import open_store

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
    # A line comes when its trial ends, and trials of both runs are trained at once.
    assert sorted(line.partition(":")[0] for line in trials) == ["grid r0", "grid r0", "stochastic r0"]
    ranking, _, ending = done.stdout.rpartition("\n\n")
    assert {line.split()[0] for line in ranking.splitlines()[3:5]} == {"grid", "stochastic"}
    assert "./runs" in ending.splitlines()[0]
    assert ending.splitlines()[1] == "Go on with: tune-kd report"
    command = [ENTRY_POINT, "report"]
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == ranking.strip()


def test_json_is_all_there_is_on_stdout(environment: dict[str, str], tmp_path: Path) -> None:
    command = [ENTRY_POINT, "run", "--policy", "stochastic", "--json", "--quiet", "--store", "records", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    notices = [line for line in done.stderr.splitlines() if "CPUs busy" not in line]  # of whoever else is here
    assert (done.returncode, notices) == (0, [])
    document = json.loads(done.stdout)
    assert [(run["policy"], run["status"]) for run in document["runs"]] == [("stochastic", "completed")]
    assert document["table"][0]["energy_j"] > 0
    assert document["store"] == "records"


def test_a_terminated_study_ends_as_an_interrupted_one_and_says_in_one_line_how_to_go_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """As ``timeout`` does it, and Slurm: the driver gets two SIGTERMs, and all that it has started gets one."""
    command = [ENTRY_POINT, "run", "--policy", "grid", *SMALL]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r": trial \d+ of 19", line):
                process.send_signal(signal.SIGTERM)
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
                break
        rest = process.stderr.read().splitlines()
        assert process.wait() == 130
    assert rest[-1].startswith("tune-kd: interrupted")
    assert "tune-kd resume" in rest[-1]
    assert not re.search("Traceback|SIGTERM", "".join(rest))
    store = open_store(tmp_path / "runs")
    assert list(store.runs()["status"]) == ["stopped"]
    assert store.seal_orphans() == [], "what it had was sealed"
    assert {"completed", "lost"} >= set(store.trials()["status"]) >= {"completed"}


class Killed(NamedTuple):
    """A study whose driver was killed without a warning, and what ``resume`` said then."""

    store: str
    study_id: str
    resumed: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def killed(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Killed:
    store = str(tmp_path_factory.mktemp("killed") / "records")
    plan = ["--policies", "grid,stochastic", "--budget", "3trials", "--max-concurrent", "1", *SMALL]
    command = [ENTRY_POINT, "compare", *plan, "--store", store]
    # Ray and all that it started die with the driver.
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if ": trial 1 of 3" in line:
                os.killpg(process.pid, signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    study_id = open_store(store).runs()["study_id"].iloc[0]
    command = [ENTRY_POINT, "resume", study_id, "--max-concurrent", "1", "--store", store]
    resumed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Killed(store=store, study_id=study_id, resumed=resumed)


def test_a_killed_study_is_resumed_to_its_end_and_shown_as_a_whole(killed: Killed) -> None:
    code, said, shown = killed.resumed.returncode, killed.resumed.stderr, killed.resumed.stdout
    assert code == 0, said
    assert re.search(r"^grid r0: goes on after [123] trials?; ", said, re.MULTILINE)
    assert "grid r0: trial 1 of 3" not in said
    assert "grid r0: completed, 3 trials, " in said
    assert {line.partition(" ")[0] for line in shown.splitlines()} >= {"grid", "stochastic"}
    assert f"study {killed.study_id}." in shown
    statuses = open_store(killed.store).runs()["status"]
    assert list(statuses) == ["completed", "completed"]


def test_there_is_nothing_left_to_resume(killed: Killed, environment: dict[str, str]) -> None:
    command = [ENTRY_POINT, "resume", "--store", killed.store]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tune-kd: nothing to resume in ")


def test_a_recorded_trial_repeats_and_says_so(killed: Killed, environment: dict[str, str]) -> None:
    trials = open_store(killed.store).trials()
    trial_id = trials[trials["status"] == "completed"]["trial_id"].iloc[0]
    command = [ENTRY_POINT, "rerun", trial_id, "--store", killed.store]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == f"{trial_id} repeats: all of its 5 results are as recorded"
    assert {line.split()[-1] for line in lines[1:-1]} == {"same"}


def test_a_result_that_does_not_repeat_is_named_and_exit_code_1(killed: Killed, environment: dict[str, str]) -> None:
    """Under another learning rate, as if the record were of another training."""
    store = open_store(killed.store)
    [row] = store.reader.rows("SELECT * EXCLUDE schema_version FROM runs WHERE policy = 'grid'", ["runs"]).to_pylist()
    scenario = json.loads(row["scenario_json"])
    scenario["recipe"]["lr"] = 10 * scenario["recipe"]["lr"]
    store.write_run({**row, "scenario_json": json.dumps(scenario)})
    command = [ENTRY_POINT, "rerun", f"{row['run_id']}-0000", "--store", killed.store]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    store.write_run(row)
    assert done.returncode == 1
    assert "differs" in {line.split()[-1] for line in done.stdout.splitlines()}
    assert re.search(r"does not repeat: \d of its 5 results differ$", done.stderr.strip())


def test_the_students_of_a_run_can_be_taken_away(killed: Killed, environment: dict[str, str], tmp_path: Path) -> None:
    run_id = open_store(killed.store).runs()["run_id"].iloc[0]
    command = [ENTRY_POINT, "export", run_id, "--best", str(tmp_path / "best"), "--store", killed.store]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert [file.name for file in files] == ["student.pt", "student.onnx", "record.json"]
    assert all(file.stat().st_size for file in files)
    assert json.loads(files[2].read_text(encoding="utf-8"))["trial_id"].startswith(run_id)
