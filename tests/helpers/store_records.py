"""Records for the store's tests: small runs with known figures."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted, TrialTested
from tune_kd.store import Attempt, Store

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TABLES = ("runs", "trials", "reports", "nodes")


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run_row(run_id: str, **changes: Any) -> dict[str, Any]:
    row = {"run_id": run_id, "scenario": "digits", "policy": "grid", "replicate": 0, "seed": 7}
    return {**row, "status": "completed", "started_at": at(0), "ended_at": at(100), **changes}


def started(run_id: str, index: int, attempt: int = 0, **changes: Any) -> TrialStarted:
    fields: dict[str, Any] = {"seed": 100 + index, "params": {"tau": 4}, "tau": 4.0, "alpha": 0.95}
    fields |= {"pue": 1.0, "carbon_g_per_kwh": 380.0, "carbon_source": "test"}
    key: dict[str, Any] = {"run_id": run_id, "trial_id": f"{run_id}-{index:04d}", "attempt": attempt}
    return TrialStarted(**key, at=at(index), index=index, **{**fields, **changes})


def report(run_id: str, index: int, epoch: int, attempt: int = 0, **changes: Any) -> EpochReport:
    """The epoch's costs are cumulative: 10 J and 1 g an epoch."""
    fields: dict[str, Any] = {
        "node_id": "node-a",
        "train_loss": 2.0 / epoch,
        "val_loss": 1.0 / epoch,
        "val_score": 1 - 0.5**epoch,
        "checkpoint_epoch": epoch,
        "lr": 0.1,
        "tau_mean": 4.0,
        "tau_min": 4.0,
        "tau_max": 4.0,
        "energy_j": 10.0 * epoch,
        "energy_cpu_j": 9.0 * epoch,
        "energy_gpu_j": None,
        "energy_ram_j": 1.0 * epoch,
        "energy_idle_j": None,
        "energy_method": "model",
        "co2e_g": 1.0 * epoch,
        "flops_executed": 600 * epoch,
        "flops_teacher": 100 * epoch,
        "flops_forward": 100 * epoch,
        "flops_backward": 200 * epoch,
        "flops_eval": 200 * epoch,
        "flops_paper": 300 * epoch,
        "flops_uncounted_ops": "",
        "duration_s": 1.0 * epoch,
        "train_s": 0.5 * epoch,
        "eval_s": 0.2 * epoch,
        "teacher_s": 0.2 * epoch,
        "other_s": 0.1 * epoch,
        "peak_memory_bytes": None,
        "co_tenants": 1,
    }
    key: dict[str, Any] = {"run_id": run_id, "trial_id": f"{run_id}-{index:04d}", "attempt": attempt}
    return EpochReport(**key, at=at(index + epoch), epoch=epoch, **{**fields, **changes})


def ended(run_id: str, index: int, attempt: int = 0, status: str = "completed", error: str | None = None) -> TrialEnded:
    key: dict[str, Any] = {"run_id": run_id, "trial_id": f"{run_id}-{index:04d}", "attempt": attempt}
    return TrialEnded(**key, at=at(index + 50), status=status, error=error)


def examined(run_id: str, index: int, attempt: int = 0) -> TrialTested:
    scores: dict[str, Any] = dict.fromkeys(
        ("precision_macro", "recall_macro", "specificity_macro", "f1_macro", "kappa"), 0.75
    )
    key: dict[str, Any] = {"run_id": run_id, "trial_id": f"{run_id}-{index:04d}", "attempt": attempt}
    return TrialTested(
        **key,
        **scores,
        at=at(index + 60),
        test_score=0.875,
        prevalence=0.5,
        confusion=[[3, 1], [0, 4]],
        per_class=[{"precision": 1.0, "recall": 0.75, "f1": 6 / 7}, {"precision": 0.8, "recall": 1.0, "f1": 8 / 9}],
        ece=0.05,
        reliability=[{"images": 0}, {"images": 8, "accuracy": 0.875, "confidence": 0.925}],
        example_logits=[[2.0, -1.0], [0.5, 1.5]],
        example_maps=[[[0.0, 0.5], [1.0, 0.25]], [[0.0, 0.0], [0.0, 0.0]]],
        example_layer="features",
        inference_s=0.01,
        inference_energy_j=0.2,
        inference_co2e_g=0.02,
        energy_test_j=0.3,
    )


def trial_events(run_id: str, index: int, *, epochs: int = 3, attempt: int = 0) -> Iterator[Event]:
    """A whole attempt, from its start to its test."""
    yield started(run_id, index, attempt)
    for epoch in range(1, epochs + 1):
        yield report(run_id, index, epoch, attempt)
    yield ended(run_id, index, attempt)
    yield examined(run_id, index, attempt)


def write_trial(store: Store, run_id: str, index: int, *, epochs: int = 3, attempt: int = 0) -> Attempt:
    journal = store.journal(run_id, f"{run_id}-{index:04d}", attempt)
    for event in trial_events(run_id, index, epochs=epochs, attempt=attempt):
        journal.append(event)
    return store.seal(run_id, f"{run_id}-{index:04d}", attempt)


def write_whole_run(store: Store, run_id: str, *, trials: int = 3, **changes: Any) -> None:
    store.write_nodes(run_id, [{"node_id": "node-a", "cpus": 2, "python": "3.11"}])
    for index in range(trials):
        write_trial(store, run_id, index)
    store.write_run(run_row(run_id, **changes))


def contents(store: Store) -> dict[str, list[dict[str, Any]]]:
    """All rows of a store, as plain data."""
    return {table: store.reader.rows(f"SELECT * FROM {table} ORDER BY ALL", [table]).to_pylist() for table in TABLES}


def files_of(root: Path, table: str) -> list[str]:
    folder = root / table
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
