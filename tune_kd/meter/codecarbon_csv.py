"""Trials as rows of codecarbon's ``emissions.csv``, for the tools of its users. Written against codecarbon 3.x."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from tune_kd.formats import JOULES_PER_KWH
from tune_kd.meter.carbon import country_name
from tune_kd.meter.power_model import GIB

Rows = Iterable[Mapping[str, Any]]


def emissions_columns() -> tuple[str, ...]:
    """The columns of the installed codecarbon's file, in its order."""
    from codecarbon.output_methods.emissions_data import EmissionsData

    return tuple(field.name for field in dataclasses.fields(EmissionsData))


def emissions_row(run: Mapping[str, Any], trial: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """One trial as a row: kWh, kg and watts out of the store's joules, grams and seconds.

    ``run``, ``trial`` and ``node`` are rows of the store's tables. As in codecarbon's own rows, energy and power
    include the PUE. It has no column for idle energy: that is added to CPU and GPU in proportion to their
    use, so that the three components add up to the energy consumed. Its duration is the time that was metered, after
    the last report, too, as the energy is. Unmeasured is None, an empty cell.
    """
    known = {
        "project_name": f"tune-kd {run.get('scenario')} {run.get('policy')}",
        "run_id": f"{trial['trial_id']}.{trial['attempt']}",
        "experiment_id": run.get("study_id"),
        "codecarbon_version": version("codecarbon"),
        "tracking_mode": "process",
        "on_cloud": "N",
        **_spent(trial),
        **_place(trial, node),
    }
    return {column: known.get(column) for column in emissions_columns()}


def _spent(trial: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of when a trial ended, how long it took, and of its energy and emissions."""
    pue = _number(trial, "pue")
    cpu_j, gpu_j, ram_j, total_j = (None if joules is None else joules * (pue or 1.0) for joules in _components(trial))
    co2e_g, ended_at = _number(trial, "co2e_g"), trial.get("ended_at")
    metered_s, reported_s = _number(trial, "metered_s"), _number(trial, "duration_s")
    duration_s = reported_s if metered_s is None else metered_s  # older versions did not record the first
    return {
        "timestamp": f"{ended_at:%Y-%m-%dT%H:%M:%S}" if _is_known(ended_at) else None,
        "duration": duration_s,
        "emissions": _ratio(co2e_g, 1000),
        "emissions_rate": _ratio(_ratio(co2e_g, 1000), duration_s),
        "cpu_power": _ratio(cpu_j, duration_s),
        "gpu_power": _ratio(gpu_j, duration_s),
        "ram_power": _ratio(ram_j, duration_s),
        "cpu_energy": _ratio(cpu_j, JOULES_PER_KWH),
        "gpu_energy": _ratio(gpu_j, JOULES_PER_KWH),
        "ram_energy": _ratio(ram_j, JOULES_PER_KWH),
        "energy_consumed": _ratio(total_j, JOULES_PER_KWH),
        "pue": pue,
    }


def _place(trial: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the country and of the machine."""
    region = trial.get("carbon_region")
    return {
        "country_iso_code": region,
        "country_name": country_name(str(region)) if _is_known(region) else None,
        "os": node.get("os"),
        "python_version": node.get("python"),
        "cpu_count": node.get("cpus"),
        "cpu_model": node.get("cpu_model"),
        "gpu_count": node.get("gpus"),
        "gpu_model": node.get("gpu_model"),
        "ram_total_size": _ratio(_number(node, "ram_bytes"), GIB),
    }


def emissions(runs: Rows, trials: Rows, nodes: Rows) -> pd.DataFrame:
    """All trials of the store's tables as codecarbon's; ``.to_csv(path, index=False)`` makes the file."""
    by_run = {row["run_id"]: row for row in runs}
    by_node = {(row["run_id"], row["node_id"]): row for row in nodes}
    rows = [
        emissions_row(by_run[trial["run_id"]], trial, by_node.get((trial["run_id"], trial["node_id"]), {}))
        for trial in trials
    ]
    return pd.DataFrame(rows, columns=list(emissions_columns()))


def _components(trial: Mapping[str, Any]) -> tuple[float | None, float | None, float | None, float | None]:
    """CPU, GPU, RAM and all of it, in joules; the idle share within the first two."""
    names = ("energy_cpu_j", "energy_gpu_j", "energy_ram_j", "energy_j")
    cpu_j, gpu_j, ram_j, total_j = (_number(trial, name) for name in names)
    idle_j = _number(trial, "energy_idle_j")
    used_j = (cpu_j or 0.0) + (gpu_j or 0.0)
    if idle_j and used_j == 0:
        cpu_j = (cpu_j or 0.0) + idle_j
    elif idle_j:
        cpu_j, gpu_j = (None if joules is None else joules * (1 + idle_j / used_j) for joules in (cpu_j, gpu_j))
    return cpu_j, gpu_j, ram_j, total_j


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    return float(value) if _is_known(value) else None  # type: ignore[arg-type]


def _is_known(value: Any) -> bool:
    return value is not None and not pd.isna(value)


def _ratio(amount: float | None, by: float | None) -> float | None:
    return None if amount is None or not by else amount / by
