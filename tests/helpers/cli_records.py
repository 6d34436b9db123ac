"""A small study with known figures, as the events that a run sends and as a store that has been sealed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tune_kd.budget.ledger import Ledger
from tune_kd.config.catalogue import policy_record
from tune_kd.config.scenario import scenario_sha256, to_record
from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted, TrialTested
from tune_kd.planning.plan import RunPlan, Study, plan_study, space_record
from tune_kd.progress.base import Progress
from tune_kd.store import Store, create_store

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WH = 3600.0


def study(policies: Sequence[str] = ("grid", "stochastic"), **options: Any) -> Study:
    """A real plan, 30 epochs a trial, whose ids do not change from day to day."""
    planned = plan_study(policies=policies, name="compare", settings={"recipe.epochs": 30}, **options)
    runs = [
        dataclasses.replace(
            run, study_id="s1", run_id=f"s1-{run.label.replace(':', '-').replace('=', '-')}-r{run.replicate}"
        )
        for run in planned.runs
    ]
    return dataclasses.replace(planned, study_id="s1", runs=tuple(runs))


def key(run: RunPlan, index: int, attempt: int = 0) -> dict[str, Any]:
    return {"run_id": run.run_id, "trial_id": f"{run.run_id}-{index:04d}", "attempt": attempt}


def started(run: RunPlan, index: int, *, tau: float | None = 4, attempt: int = 0) -> TrialStarted:
    costs: dict[str, Any] = {"pue": 1.0, "carbon_g_per_kwh": 500.0, "carbon_source": "test"}
    at = START + timedelta(seconds=index)
    return TrialStarted(**key(run, index, attempt), **costs, at=at, index=index, seed=1, params={}, tau=tau, alpha=0.95)


def report(run: RunPlan, index: int, epoch: int, *, attempt: int = 0, **changes: Any) -> EpochReport:
    """An epoch; energy, time and FLOPs are cumulative: 1 mWh, 0.1 s and 10⁹ FLOPs an epoch."""
    fields: dict[str, Any] = {field.name: 0 for field in dataclasses.fields(EpochReport)}
    fields |= {"node_id": "node", "energy_method": "model", "flops_uncounted_ops": "", "checkpoint_epoch": epoch}
    fields |= dict.fromkeys(("diverged_epoch", "checkpoint_val_score", "checkpoint_val_loss"))
    fields |= {"tau_mean": 4.0, "tau_min": 4.0, "tau_max": 4.0, "val_score": 0.5 + epoch / 100}
    fields |= {"energy_j": epoch * WH / 1000, "duration_s": epoch / 10, "flops_executed": epoch * 10**9, "co2e_g": 1.0}
    at = START + timedelta(seconds=index + epoch / 10)
    return EpochReport(**{**fields, **key(run, index, attempt), "at": at, "epoch": epoch, **changes})


def ended(
    run: RunPlan, index: int, *, status: str = "completed", error: str | None = None, attempt: int = 0
) -> TrialEnded:
    return TrialEnded(**key(run, index, attempt), at=START + timedelta(seconds=index + 9), status=status, error=error)


def tested(run: RunPlan, index: int, **changes: Any) -> TrialTested:
    fields: dict[str, Any] = {field.name: 0.5 for field in dataclasses.fields(TrialTested)}
    fields |= {"confusion": [[1, 0], [0, 1]], "per_class": [], "metrics": None, "reliability": [], "test_score": 0.75}
    fields |= {"example_logits": [], "example_maps": [], "example_layer": "features"}
    fields |= {name: None for name in fields if name.startswith("float_")}  # of a student that is not quantized
    fields |= {"inference_runtime": "torch 2.15.0", "weight_bytes": 2872, "reduce_range": None}
    return TrialTested(**{**fields, **key(run, index), "at": START + timedelta(seconds=index + 10), **changes})


def trial(run: RunPlan, index: int, *, epochs: int = 30, **changes: Any) -> Iterator[Event]:
    """A whole trial."""
    yield started(run, index, tau=None if run.policy.moves_within else index + 2)
    for epoch in range(1, epochs + 1):
        yield report(run, index, epoch, **changes)
    yield ended(run, index)


def play(progress: Progress, run: RunPlan, events: Iterator[Event] | list[Event]) -> Ledger:
    """Start ``run`` on a display and send it events, as the runner does: the ledger first."""
    ledger = Ledger(budget=run.budget, max_trials=run.max_trials)
    progress.run_started(run, ledger)
    for event in events:
        ledger(event)
        progress.event(event)
    return ledger


def sealed_store(folder: Path, planned: Study, *, trials: int = 2, spread: float = 0.0) -> Store:
    """A store with every run of the study completed.

    Test accuracies are 75 %; those of grid are ``spread`` more in each replicate after the first.
    """
    store = create_store(folder)
    for place, run in enumerate(planned.runs):
        at = START + timedelta(minutes=place)
        row: dict[str, Any] = {"run_id": run.run_id, "study_id": run.study_id, "study": planned.name, "seed": run.seed}
        row |= {"scenario": run.scenario.name, "scenario_json": to_record(run.scenario), "policy": run.label}
        row |= {"scenario_sha256": scenario_sha256(run.scenario)}
        row |= {"policy_json": policy_record(run.policy), "space": run.space.name, "replicate": run.replicate}
        row |= {"track": run.track, "budget_currency": run.budget.currency, "budget_limit": run.budget.limit}
        row |= {"space_json": space_record(run.space), "study_seed": run.study_seed, "budget_text": run.budget_text}
        row |= {"equivalence_margin": run.scenario.equivalence_margin, "started_at": at, "ended_at": at}
        store.write_run({**row, "split_sha256": "0" * 64, "status": "completed"})
        score = 0.75 + (spread * run.replicate if run.label == "grid" else 0.0)
        for index in range(trials):
            with store.journal(run.run_id, f"{run.run_id}-{index:04d}", 0) as journal:
                for event in (*trial(run, index), tested(run, index, test_score=score)):
                    journal.append(event)
                store.seal(run.run_id, f"{run.run_id}-{index:04d}", 0)
    return store
