"""A node's row of the store: its hardware and software, and what its meters counted."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from tune_kd.meter.power_model import this_machine

PACKAGES = ("torch", "torchvision", "ray", "optuna", "codecarbon")


def node(node_id: str) -> dict[str, Any]:
    """Hardware and software of the node that this process runs on; what its meter says comes from the meter."""
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


# How the figures of a meter add up over the drivers of a resumed run.
ADDED = ("energy_total_j", "energy_trials_j", "energy_other_j", "energy_idle_j", "energy_residual_j", "samples")


def added_up(before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes of a run that went on: a node's meter begins anew with each driver, so its totals are added up.

    The longest gap is the longest of all, coverage the mean by samples. A node that is gone keeps its row.
    """
    earlier = {row["node_id"]: row for row in before}
    rows = []
    for row in now:
        past = earlier.pop(row["node_id"], None)
        if past is None or not past["samples"]:
            rows.append(row)
        else:
            rows.append(_sum(past, row) if row.get("samples") else past)
    return [*earlier.values(), *rows]


def _sum(past: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    samples = past["samples"] + row["samples"]
    covered = past["coverage"] * past["samples"] + row["coverage"] * row["samples"]
    return {
        **row,
        **{name: past[name] + row[name] for name in ADDED},
        "longest_gap_s": max(past["longest_gap_s"], row["longest_gap_s"]),
        "coverage": covered / samples,
        "meters_beside_s": _known_sum(past.get("meters_beside_s"), row.get("meters_beside_s")),
        "meter_error": row["meter_error"] or past["meter_error"],
    }


def _known_sum(past: float | None, now: float | None) -> float | None:
    return None if past is None or now is None else past + now
