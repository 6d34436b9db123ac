"""A node's row of the store: its hardware and software, and what its meters counted."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from tune_kd.meter.power_model import this_machine

PACKAGES = ("torch", "torchvision", "ray", "optuna", "codecarbon")


def node(node_id: str) -> dict[str, Any]:
    """The columns of hardware and software of the node that this process runs on; the meter has columns of its own."""
    machine = this_machine()
    return {
        "node_id": node_id,
        "cpu_model": machine.cpu_model,
        "cpus": machine.cpus,
        "ram_bytes": round(machine.ram_gib * 2**30),
        "os": platform.platform(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
    }


# The figures of a meter that are added up over the drivers of a resumed run.
ADDED = ("energy_total_j", "energy_trials_j", "energy_other_j", "energy_idle_j", "energy_residual_j", "samples")


def added_up(before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes of a resumed run: a node's meter begins anew with each driver, so its totals are added up.

    The longest gap is the longest of all, coverage the mean by samples. A node that is gone keeps its row.
    """
    earlier = {row["node_id"]: row for row in before}
    rows = []
    for row in now:
        recorded = earlier.pop(row["node_id"], None)
        if recorded is None or not recorded["samples"]:
            rows.append(row)
        else:
            rows.append(_sum(recorded, row) if row.get("samples") else recorded)
    return [*earlier.values(), *rows]


def _sum(recorded: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    samples = recorded["samples"] + row["samples"]
    covered = recorded["coverage"] * recorded["samples"] + row["coverage"] * row["samples"]
    return {
        **row,
        **{name: recorded[name] + row[name] for name in ADDED},
        "energy_other_runs_j": (recorded.get("energy_other_runs_j") or 0.0) + row["energy_other_runs_j"],
        "longest_gap_s": max(recorded["longest_gap_s"], row["longest_gap_s"]),
        "coverage": covered / samples,
        "meters_beside_s": _known_sum(recorded.get("meters_beside_s"), row.get("meters_beside_s")),
        "meter_error": row["meter_error"] or recorded["meter_error"],
    }


def _known_sum(recorded: float | None, now: float | None) -> float | None:
    return None if recorded is None or now is None else recorded + now
