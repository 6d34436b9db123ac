"""``plan``: costs and resolution before anything is spent, from what there is; an em dash where there is nothing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cli_records import sealed_store, study
from scipy.stats import chi2

import tune_kd
from analysis.runs.outcomes import run_outcomes
from analysis.statistics.look_power import shares_at_looks
from analysis.statistics.power import typical_sd, verdict_shares
from tune_kd.cli import command_line
from tune_kd.config.scenario import load_scenario, scenario_sha256
from tune_kd.formats import duration, energy
from tune_kd.planning.calibration import Calibration, keep
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.seed_spread import MEASURED

RESULTS = Path(__file__).parents[2] / "docs" / "results-store"
PLAN = ["plan", "--policies", "grid,asha,stochastic", "--epochs", "30", "--replicates", "10"]


@pytest.fixture
def bare(tmp_path: Path) -> list[str]:
    """A store and a cache that are not there."""
    return ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert command_line(arguments) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    return dict(json.loads(said(capsys, *arguments, "--json")))


def test_without_records_only_trials_are_known_and_a_line_says_how_to_get_the_rest(
    bare: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(capsys, *PLAN, *bare).splitlines()
    assert lines[1].split() == ["grid", "10", "19", "—", "—", "—"]
    assert lines[4].split() == ["all", "30", "—", "—", "—"]
    assert "--budget 20trials-equivalent" in lines[6]
    assert list(tmp_path.iterdir()) == []


def test_costs_are_those_of_recorded_trials_of_the_scenario(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sealed_store(tmp_path / "runs", study())
    found = planned(capsys, *PLAN, *bare)
    grid, asha, stochastic = found["policies"]
    each = found["trial"]["energy_j"]
    assert each == pytest.approx(30 * 3.6)
    assert (grid["energy_j"], stochastic["energy_j"]) == (pytest.approx(190 * each), pytest.approx(10 * each))
    assert (grid["at_most"], asha["at_most"]) == (False, True)
    assert found["all"]["energy_j"] == pytest.approx(sum(row["energy_j"] for row in found["policies"]))
    lines = said(capsys, *PLAN, *bare).splitlines()
    assert "≤" in lines[2]
    assert str(tmp_path / "runs") in lines[6]


def test_trials_side_by_side_are_forecast_by_recorded_ones_and_by_no_others(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sealed_store(tmp_path / "runs", study())
    beside = [*PLAN, *bare, "--side-by-side", "auto"]
    known = [row["energy_j"] is not None for row in planned(capsys, *beside)["policies"]]
    assert known == [False, True, True], "asha's trials, and one alone, are not side by side"
    assert planned(capsys, *beside)["trial_side_by_side"] is None
    assert "none of this scenario was here yet" in said(capsys, *beside)
    sealed_store(tmp_path / "more", study(), side_by_side=4)
    beside[beside.index("--store") + 1] = str(tmp_path / "more")
    found = planned(capsys, *beside)
    assert [row["energy_j"] is not None for row in found["policies"]] == [True, False, False]
    assert found["trial"] is None, "of none alone anything is known"
    assert found["policies"][0]["energy_j"] == pytest.approx(190 * found["trial_side_by_side"]["energy_j"])
    assert "fixed-τ trials, 4 side by side, in" in said(capsys, *beside)


def test_another_scenario_has_no_figures_in_the_same_store(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sealed_store(tmp_path / "runs", study())
    found = planned(capsys, *PLAN, *bare, "--alpha", "0.5")
    assert found["trial"] is None
    assert found["all"] == {"duration_s": None, "energy_j": None, "co2e_g": None}


def test_without_records_the_calibration_is_taken(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    measured = Calibration(tau=11, epochs=30, energy_j=100.0, energy_method="model", duration_s=5.0, flops=1e9)
    keep(measured, study(), Execution(cache=tmp_path / "cache"), "split")
    found = planned(capsys, *PLAN, *bare, "--budget", "7trials-equivalent", "--track", "budget")
    assert [row["trials"] for row in found["policies"]] == [7, 7, 7]
    assert found["policies"][0]["energy_j"] == 7000


@pytest.mark.parametrize("replicates", [2, 10])
def test_a_preset_as_it_stands_goes_by_the_spread_that_was_measured_for_it(
    replicates: int, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = ("plan", "--policies", "fixed,stochastic,grid", *bare, "--replicates", str(replicates))
    found = planned(capsys, *plan)["resolution"]
    expected = verdict_shares(replicates, 3, sd=MEASURED["digits"], margin=0.01)
    assert found["verdicts"] == expected.to_dict("records")
    assert (found["sd"], found["margin"]) == (MEASURED["digits"], 0.01)
    lines = said(capsys, *plan).splitlines()
    assert "as measured for digits" in lines[-6]
    assert lines[-1].startswith("2.00 pp")


@pytest.mark.skipif(not RESULTS.is_dir(), reason="no store is published in docs/results-store")
def test_the_spread_of_the_digits_is_that_of_the_published_results() -> None:
    store = tune_kd.open_store(RESULTS)
    runs = store.runs()
    same = runs["scenario_sha256"] == scenario_sha256(load_scenario("digits"))
    digits = runs[same & (runs["budget_text"] == "20trials")]
    outcomes = run_outcomes(digits, store.trials(run_ids=list(digits["run_id"])))
    assert typical_sd(outcomes) == pytest.approx(MEASURED["digits"], abs=5e-5)


def test_a_changed_scenario_says_that_nobody_knows_until_its_own_records_do(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    resolution = planned(capsys, *PLAN, *bare)["resolution"]
    assert (resolution["sd"], resolution["source"], resolution["verdicts"]) == (None, None, None)
    assert "is not known" in said(capsys, *PLAN, *bare).splitlines()[-1]
    sealed_store(tmp_path / "runs", study(["grid", "stochastic"], replicates=3), spread=0.01)
    resolution = planned(capsys, *PLAN, *bare)["resolution"]
    assert resolution["source"] == f"as recorded in {tmp_path / 'runs'}"
    assert resolution["sd"] == pytest.approx(0.01 / math.sqrt(chi2.median(2) / 2))
    assert len(resolution["verdicts"]) == 4


def test_one_replicate_shows_nothing_and_one_policy_is_compared_with_nothing(
    bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "cannot show any difference" in said(capsys, *PLAN, *bare, "--replicates", "1").splitlines()[-1]
    assert planned(capsys, "plan", "--policies", "grid", *bare)["resolution"] is None


UNTIL = ["plan", "--policies", "stochastic,grid,asha", "--until-decided"]


def test_a_plan_until_decided_has_the_last_look_at_most_and_what_is_to_be_expected(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    sealed_store(tmp_path / "runs", study(["grid", "stochastic"], replicates=3), spread=0.01)
    asked = ["--epochs", "30", "--max-replicates", "12", *bare]
    found = planned(capsys, *UNTIL, *asked)
    assert [(row["runs"], row["runs_at_most"]) for row in found["policies"]] == [(12, True)] * 3
    resolution, each = found["resolution"], found["trial"]["energy_j"]
    looks = resolution["looks"]
    assert (looks["replicates"], looks["reference"], resolution["replicates"]) == ([5, 10, 12], "grid", 12)
    assert looks["levels"] == pytest.approx([0.05 * 5 / 27, 0.05 * 10 / 27, 0.05 * 12 / 27])
    expected = shares_at_looks((5, 10, 12), looks["levels"], 3, sd=resolution["sd"], margin=0.01)
    shown = pd.DataFrame(resolution["verdicts"])
    assert shown[list(expected.columns)].to_numpy() == pytest.approx(expected.to_numpy())
    # A run of grid has 19 trials, of asha 20 and of stochastic 1.
    joules = each * (19 * expected["reference_replicates"] + 21 * expected["replicates"])
    assert shown["energy_j"].to_numpy() == pytest.approx(joules.to_numpy())
    lines = said(capsys, *UNTIL, *asked).splitlines()
    assert lines[1].split()[:5] == ["stochastic", "≤", "12", "1", "≤"], "of a run's one trial nothing is left out"
    assert lines[4].split()[:5] == ["all", "≤", "36", "≤", duration(found["all"]["duration_s"]).split()[0]]
    assert "Runs are those of the last look, 12 a policy; one decided earlier has fewer." in lines
    assert "Verdicts on 3 policies at looks after 5, 10, 12 replicates" in "\n".join(lines)
    assert "the reference, grid, in test accuracy" in " ".join(lines)
    first = f"{expected['replicates'][0]:.1f} {expected['reference_replicates'][0]:.1f} ≤ {energy(joules[0])}"
    assert lines[-4].split()[-5:] == first.split()


def test_costs_to_be_expected_are_unknown_where_those_of_a_trial_are(
    bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = planned(capsys, *UNTIL, *bare)["resolution"]["verdicts"]
    assert [(row["duration_s"], row["energy_j"], row["co2e_g"]) for row in verdicts] == [(None, None, None)] * 4
    lines = said(capsys, *UNTIL, *bare).splitlines()
    assert lines[1].split() == ["stochastic", "≤", "40", "1", "—", "—", "—"]
    assert [line.split()[-1] for line in lines[-4:]] == ["—"] * 4
    assert planned(capsys, *UNTIL, *bare, "--epochs", "30")["resolution"]["verdicts"] is None, "nor how seeds differ"


def test_a_plan_in_python_is_that_of_the_command(
    tmp_path: Path, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"store": tmp_path / "runs", "cache": tmp_path / "cache"}
    found = tune_kd.plan(["stochastic", "grid", "asha"], until_decided=True, max_replicates=20, **place)
    shown = planned(capsys, *UNTIL, *bare, "--max-replicates", "20")
    assert found.verdicts is not None
    assert json.loads(json.dumps(found.verdicts.document())) == shown["resolution"]
    assert json.loads(found.frame().to_json(orient="records")) == shown["policies"]
    assert repr(found) == "Plan(3 policies, at most 60 runs on digits: —, —, —)"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--replicates", "10", "--until-decided"], "bound them with --max-replicates 10"),
        (["--max-replicates", "10"], "--max-replicates is for --until-decided"),
    ],
)
def test_a_plan_refuses_what_compare_does(
    more: list[str], message: str, bare: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["plan", "--policies", "grid,stochastic", *more, *bare]) == 2
    assert message in capsys.readouterr().err


def test_plan_starts_no_ray(bare: list[str]) -> None:
    code = f"import sys; from tune_kd.cli import command_line; code = command_line({[*PLAN, *bare]!r})"
    code += "; ray = sys.modules.get('ray'); print(code, ray is not None and ray.is_initialized())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"
