"""``report --budget``: the ranking as it would have been at a smaller budget, and marked as such."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from cli_records import sealed_store, study

from analysis.runs.replay import ADAPTED_BEFORE
from policies import POLICIES
from tune_kd.cli import command_line
from tune_kd.config.catalogue import policy_record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("replay") / "runs"
    sealed_store(folder, study(["grid", "tpe"]))
    return str(folder)


def test_the_record_of_a_policy_says_whether_it_adapts() -> None:
    for policy in POLICIES.values():
        assert json.loads(policy_record(policy()))["adapts"] == policy.adapts


def test_older_records_which_do_not_say_so_are_known_by_name() -> None:
    assert {name for name, policy in POLICIES.items() if policy.adapts} == set(ADAPTED_BEFORE)


@pytest.mark.parametrize(("budget", "epochs"), [("1trial", 30), ("60epochs", 60), ("2trials", 60)])
def test_what_comes_after_the_budget_does_not_count(
    store: str, budget: str, epochs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["report", store, "--budget", budget, "--format", "json"]) == 0
    captured = capsys.readouterr()
    [table] = json.loads(captured.out)
    assert [row["epochs"] for row in table] == [epochs, epochs]
    assert "\ntune-kd: replayed from the records" in captured.err


def test_trials_that_had_not_ended_by_then_enter_no_contest(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["report", store, "--budget", "40epochs", "--format", "json"]) == 0
    [table] = json.loads(capsys.readouterr().out)
    assert [(row["runs"], row["replicates"], row["test_score_mean"]) for row in table] == [(1, 0, None)] * 2


def test_a_replay_is_marked_and_so_are_the_policies_that_adapt(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["report", store, "--budget", "40epochs"]) == 0
    captured = capsys.readouterr()
    said = " ".join(captured.out.split())
    assert captured.err == ""
    assert "40 epochs" in said.partition("policy")[0]
    assert "replayed from the records" in said
    assert "decided otherwise under this budget: tpe" in said


def test_co2e_can_be_recomputed_too(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["report", store, "--budget", "1trial", "--carbon-intensity", "1000", "--format", "json"]) == 0
    captured = capsys.readouterr()
    [table] = json.loads(captured.out)
    assert table[0]["co2e_g"] == pytest.approx(30 * 3.6 / 3.6e6 * 1000)
    assert "recomputed from the stored joules" in captured.err


def test_a_replay_loads_neither_torch_nor_ray(store: str) -> None:
    arguments = ["report", store, "--budget", "0.03Wh"]
    code = f"import sys; from tune_kd.cli import command_line; code = command_line({arguments!r})"
    code += "; print(code, *(name for name in ('torch', 'ray') if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
