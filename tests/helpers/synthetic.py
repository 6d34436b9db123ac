"""Frames with the columns of a store, drawn from a seed: what the analysis is tested and timed on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

Row = dict[str, Any]
DAY = pd.Timestamp("2026-01-01", tz="UTC")
MARGIN = 0.003  # 0.3 pp, the paper's scenario


class Frames(NamedTuple):
    """The four tables of a store."""

    runs: pd.DataFrame
    trials: pd.DataFrame
    reports: pd.DataFrame
    nodes: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one synthetic policy behaves; ``shift`` moves its accuracy, ``trial_j`` is the energy of a trial."""

    trials: int = 1
    shift: float = 0.0
    trial_j: float = 3600.0
    tau: bool = False  # constant within a trial


PAPER = {
    "grid": Recipe(trials=19, tau=True),
    "random": Recipe(trials=20, tau=True),
    "tpe": Recipe(trials=20, tau=True),
    "annealing": Recipe(),
    "stochastic": Recipe(),
}


def make_frames(
    *,
    policies: Mapping[str, Recipe] = PAPER,
    replicates: int = 5,
    epochs: int = 4,
    accuracy: float = 0.9,
    sigma: float = 0.0015,
    scenario: str = "digits",
    margin: float | None = MARGIN,
    seed: int = 0,
) -> Frames:
    """Runs of ``policies``: a trial's accuracies are normal, mean ``accuracy`` + shift, std ``sigma``."""
    rng, start = np.random.default_rng(seed), pd.Timestamp("2026-01-01", tz="UTC")
    runs, trials, reports = [], [], []
    for policy, recipe in policies.items():
        for replicate in range(replicates):
            run_id = f"{scenario}-{policy}-{replicate}"
            runs.append(_run(run_id, policy, replicate, scenario, margin, start))
            for index in range(recipe.trials):
                start += pd.Timedelta(minutes=1)
                final = accuracy + recipe.shift + rng.normal(0, sigma, size=2)
                reached = final[0] - 0.3 * (1 - np.arange(1, epochs + 1) / epochs)
                cost = recipe.trial_j * np.arange(1, epochs + 1) / epochs * rng.uniform(0.98, 1.02)
                key = {"run_id": run_id, "trial_id": f"{run_id}-{index:04d}", "attempt": 0}
                tau = float(2 + index % 19) if recipe.tau else None
                trials.append({**key, **_trial(index, start, epochs, final, cost[-1], tau)})
                reports += [{**key, **_report(i + 1, start, reached[i], cost[i], tau)} for i in range(epochs)]
    runs_frame = pd.DataFrame(runs)
    return Frames(runs_frame, pd.DataFrame(trials), pd.DataFrame(reports), _nodes(runs_frame))


def trial(run_id: str, index: int, val: float | None, test: float | None, **changes: Any) -> Row:
    """One row of ``trials`` by hand: 10 J, 100 FLOP, 1 g and 5 s, ended ``index`` minutes after midnight."""
    row: Row = {
        "run_id": run_id,
        "trial_id": f"{run_id}-{index:04d}",
        "attempt": 0,
        "index": index,
        "status": "completed",
    }
    row |= {"val_score": val, "test_score": test, "energy_j": 10.0, "flops_executed": 100, "co2e_g": 1.0}
    row |= {"duration_s": 5.0, "epochs": 3, "ended_at": DAY + pd.Timedelta(minutes=index), "energy_method": "model"}
    return {**row, **changes}


def run(run_id: str, policy: str, replicate: int = 0, **changes: Any) -> Row:
    """One row of ``runs`` by hand: completed, with nothing shared."""
    row: Row = {"run_id": run_id, "policy": policy, "replicate": replicate, "status": "completed", "scenario": "digits"}
    row |= {"space": "tau", "policy_json": "{}", "split_sha256": "s", "track": "recipe", "budget_currency": "trials"}
    row |= {"budget_limit": 20.0, "equivalence_margin": 0.003, "started_at": DAY, "scenario_json": "{}"}
    return {**row, **changes}


def _run(run_id: str, policy: str, replicate: int, scenario: str, margin: float | None, at: pd.Timestamp) -> Row:
    scenario_json = json.dumps({"name": scenario, "epochs": 4, "equivalence_margin": margin})
    what = {"study": None, "study_id": "study-1", "scenario": scenario, "scenario_json": scenario_json}
    who = {"policy": policy, "policy_json": "{}", "policy_sha256": f"sha-{policy}", "space": "tau"}
    seeds = {"replicate": replicate, "seed": 1000 + replicate, "track": "recipe"}
    spent = {"budget_currency": "trials", "budget_limit": 20.0, "spent": None, "overshoot": 0.0, "status": "completed"}
    teacher = {"teacher_id": "teacher-1", "teacher_energy_j": 7200.0, "teacher_flops": 2e14}
    teacher |= {"teacher_val_score": 0.985, "teacher_test_score": 0.98}
    shared = {"shared_energy_j": None, "shared_flops": None, "shared_s": None, "shared_co2e_g": None}
    code = {"code_version": "0.1.0", "code_revision": "abc", "code_dirty": False, "schema_version": 1}
    what |= {"split_sha256": f"split-{scenario}"}
    times = {
        "started_at": at,
        "ended_at": at + pd.Timedelta(hours=1),
        "equivalence_margin": margin,
        "schema_version": 1,
    }
    return {"run_id": run_id, **what, **who, **seeds, **spent, **teacher, **shared, **code, **times}


def _trial(index: int, at: pd.Timestamp, epochs: int, final: np.ndarray, energy_j: float, tau: float | None) -> Row:
    energy: Row = {"energy_j": energy_j, "energy_cpu_j": 0.9 * energy_j, "energy_gpu_j": None}
    energy |= {"energy_ram_j": 0.1 * energy_j, "energy_idle_j": None}
    energy |= {"energy_test_j": 0.01 * energy_j, "energy_method": "model", "co2e_g": energy_j / 3.6e6 * 300}
    flops = {"flops_executed": 1e14 * epochs, "flops_teacher": 4e13 * epochs, "flops_forward": 2e13 * epochs}
    flops |= {"flops_backward": 3e13 * epochs, "flops_eval": 1e13 * epochs, "flops_paper": 6e13 * epochs}
    seconds = {"duration_s": 10.0 * epochs, "train_s": 8.0 * epochs, "eval_s": 1.0 * epochs}
    seconds |= {"teacher_s": 0.5 * epochs, "other_s": 1.0 * epochs, "inference_s": 0.2}
    scores: Row = {
        "precision_macro": 0.9,
        "recall_macro": 0.89,
        "specificity_macro": 0.98,
        "f1_macro": 0.895,
    }
    scores |= {"kappa": 0.88, "prevalence": 0.5, "confusion": [[45, 5], [4, 46]], "val_loss": 0.3}
    what = {"index": index, "params_json": json.dumps({"tau": tau} if tau else {}), "tau": tau, "alpha": 0.95}
    what |= {"status": "completed", "error": None, "node_id": "node-1", "started_at": at - pd.Timedelta(seconds=50)}
    what |= {"ended_at": at, "epochs": epochs, "val_score": final[0], "test_score": final[1], "seed": index}
    carbon = {"pue": 1.0, "carbon_g_per_kwh": 300.0, "carbon_source": "test"}
    return {**what, **energy, **flops, **seconds, **scores, **carbon}


def _report(epoch: int, at: pd.Timestamp, val_score: float, energy_j: float, tau: float | None) -> Row:
    cost = {"energy_j": energy_j, "flops_executed": 1e14 * epoch, "co2e_g": energy_j / 3.6e6 * 300}
    cost |= {"train_s": 8.0 * epoch, "eval_s": 1.0 * epoch}
    tau_now = {"tau_mean": tau or 11.0, "tau_min": tau or 2.0, "tau_max": tau or 20.0}
    return {
        "epoch": epoch,
        "at": at,
        **cost,
        "train_loss": 1.0,
        "val_loss": 0.9,
        "val_score": val_score,
        **tau_now,
    }


def _nodes(runs: pd.DataFrame) -> pd.DataFrame:
    node = {"node_id": "node-1", "cpu_model": "A CPU", "cpus": 2, "gpu_model": None, "gpus": 0, "torch": "2.15"}
    node |= {"python": "3.11", "ray": "2.60", "meter_method_cpu": "model", "meter_method_ram": "model"}
    return pd.DataFrame([{"run_id": run_id, **node} for run_id in runs["run_id"]])
