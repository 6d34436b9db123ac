"""Which runs may be compared: planned alike, on the same hardware, with energies that were found in the same way.

A comparison is of accuracies and of costs, and takes what both need. Only runs of one comparison are pooled or paired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from typing import Any

import pandas as pd

from analysis.runs.accounting import as_float, columns
from tune_kd.formats import plural

SETTING = (
    "scenario",
    "recipe",
    "split_sha256",
    "equivalence_margin",
    "track",
    "budget_currency",
    "budget_limit",
    "target_accuracy",
    "metric",
    "looks_of",
)
"""What was planned; ``looks_of`` is the study, if it is one that stops once it is decided."""
PLACE = ("hardware", "reserved", "energy_method", "meter", "own_images", "budget_g_per_kwh")
"""How it was executed, the columns of :func:`add_place`."""
IN_WORDS = {
    "split_sha256": "data split",
    "equivalence_margin": "margin",
    "budget_currency": "budget",
    "budget_limit": "budget",
    "target_accuracy": "target",
    "looks_of": "the study that plans looks",
    "reserved": "what a trial reserves",
    "energy_method": "energy method",
    "own_images": "whose synthesised images are",
    "budget_g_per_kwh": "carbon intensity of the budget",
    "code_version": "tune-kd",
}
TOLD = ("hardware", "reserved", "energy_method", "meter", "budget_g_per_kwh")  # whose values are said, too
MACHINE = ("cpu_model", "cpus", "ram_bytes", "gpu_model", "gpus", "power_limit_w", "mig")  # columns of ``nodes``
METER = ("meter_method_cpu", "meter_method_ram", "meter_method_gpu", "meter_params_json")
PACKAGES = ("torch", "optuna")  # columns of ``nodes``
SOFTWARE = ("code_version", *PACKAGES)
"""What is named where it differs within a comparison."""
AND = " + "


def add_place(rows: pd.DataFrame, trials: pd.DataFrame, nodes: pd.DataFrame | None) -> None:
    """Add to runs how they were executed, in words: the columns :data:`PLACE`, and those of :data:`PACKAGES`.

    Columns: hardware and meter (of the nodes that its trials ran on), reserved (by a trial), energy_method, own_images
    (did trials synthesise their images for themselves?), budget_g_per_kwh (where the budget is in CO2e). Several of a
    run are joined. What is unknown is what is usual for its study, else for its setting: but for the hardware of a run
    with a result, which may be any.
    """
    trials = columns(trials, ("node_id", "energy_method", "flops_synthesis"))
    nodes = columns(pd.DataFrame() if nodes is None else nodes, ("run_id", "node_id", *MACHINE, *METER, *PACKAGES))
    by_run, known = trials["run_id"], nodes.to_dict("records")
    machines = {node["node_id"]: _machine(node) for node in known}
    meters = {(node["run_id"], node["node_id"]): _meter(node) for node in known}
    of_trials = pd.Series(list(zip(by_run, trials["node_id"], strict=True)), index=trials.index, dtype=object)
    own = as_float(trials["flops_synthesis"]).groupby(by_run).max()
    found = {
        "hardware": _joined(trials["node_id"].map(machines), by_run),
        "energy_method": _joined(trials["energy_method"], by_run),
        "meter": _joined(of_trials.map(meters), by_run),
        "own_images": own > 0,
        **{name: _joined(nodes[name], nodes["run_id"]) for name in PACKAGES},
    }
    for name, values in found.items():
        rows[name] = rows["run_id"].map(values).astype(object)
    rows["reserved"] = _reserved(rows)
    rows["budget_g_per_kwh"] = rows["g_per_kwh"].where(rows["budget_currency"] == "gco2e")
    _fill(rows)


def comparisons(rows: pd.DataFrame) -> pd.Series:
    """The number of each run's comparison: 0, 1, …"""
    return rows.groupby([*SETTING, *PLACE], dropna=False, sort=False).ngroup()


def told_apart(rows: pd.DataFrame) -> pd.Series:
    """In words, where each run was executed if others of its setting were executed elsewhere; else ''."""
    words = [pd.Series(dtype=object)]
    for _, group in rows.groupby(list(SETTING), dropna=False, sort=False):
        differ = [name for name in TOLD if group[name].nunique(dropna=False) > 1]
        if "meter" in differ:  # which says more
            differ = [name for name in differ if name != "energy_method"]
        said = [" · ".join(map(_shown, values)) for values in group[differ].to_numpy()]
        words.append(pd.Series(said, index=group.index, dtype=object))
    return pd.concat(words).reindex(rows.index)


def comparison_notes(outcomes: pd.DataFrame) -> Iterator[str]:
    """What was not pooled and why; within a comparison, runs of several places or of several versions."""
    if (groups := outcomes["comparison"].nunique()) > 1:
        differ = [name for name in (*SETTING, *PLACE) if outcomes[name].nunique(dropna=False) > 1]
        said = ", ".join(dict.fromkeys(_difference(name, outcomes[name]) for name in differ))
        yield f"{groups} separate comparisons, never pooled: they differ in {said}"
    ranked = outcomes[outcomes["counted"]]
    spread = ranked[["hardware", "meter", "energy_method"]].map(lambda words: AND in str(words)).any(axis=1)
    if several := int(spread.sum()):
        yield (
            f"trials of {plural(several, 'run')} ran on several kinds of hardware, or were metered in several ways: "
            f"what such a run costs depends on how many ran where"
        )
    mixed = ranked.groupby("comparison")[list(SOFTWARE)].nunique().gt(1).any()
    if names := [str(name) for name in mixed.index[mixed]]:
        said = "; ".join(f"{_words(name)} {', '.join(sorted(ranked[name].dropna().unique()))}" for name in names)
        yield f"runs that are compared here were recorded with several versions, which may differ in costs: {said}"


def _difference(name: str, values: pd.Series) -> str:
    """'hardware (EPYC × 2, 24 GiB; EPYC × 64, 512 GiB)': the values in the order of the comparisons."""
    if name not in TOLD:
        return _words(name)
    return f"{_words(name)} ({'; '.join(map(_shown, values.unique()))})"


def _shown(value: Any) -> str:
    return "unknown" if pd.isna(value) else str(value)


def _words(name: str) -> str:
    return IN_WORDS.get(name, name)


def _fill(rows: pd.DataFrame) -> None:
    """Put what is usual for the study, else for the setting, in the place of what is unknown."""
    for name in PLACE:
        rows[name] = rows[name].astype(object)
        for keys in ([*SETTING, "study_id"], list(SETTING)):
            unknown = rows[name].isna() & (rows["val_score"].isna() | (name != "hardware"))
            if unknown.any():
                usual = rows.groupby(keys, dropna=False, sort=False)[name].transform(_most_common)
                rows[name] = rows[name].where(~unknown, usual)


def _most_common(values: pd.Series) -> object:
    modes = values.mode()
    return modes.iloc[0] if len(modes) else None


def _machine(node: Mapping[Hashable, Any]) -> str | None:
    """What decides a node's energy and speed, in words: 'AMD EPYC × 2, 24 GiB, NVIDIA H200 × 8, 700 W'.

    Memory is rounded up: the operating system shows a little less of it than is built in, and not always as much.
    """
    if pd.isna(node["cpu_model"]) and pd.isna(node["gpu_model"]):
        return None
    words = []
    for model, count in (("cpu_model", "cpus"), ("gpu_model", "gpus")):
        if pd.notna(node[model]):
            words.append(f"{node[model]} × {node[count]:g}" if pd.notna(node[count]) else str(node[model]))
    if pd.notna(node["ram_bytes"]):
        words.insert(1, f"{math.ceil(node['ram_bytes'] / 2**30)} GiB")
    if pd.notna(node["power_limit_w"]):
        words.append(f"{node['power_limit_w']:g} W")
    return ", ".join([*words, *(["MIG"] if pd.notna(node["mig"]) and node["mig"] else [])])


def _meter(node: Mapping[Hashable, Any]) -> str | None:
    """How each component is read, and what a model assumes of it: 'CPU model 8 W (10 % idle), RAM model 0.3725 W/GiB'.

    How often it is read changes no energy, and is left out.
    """
    words = [
        f"{part.upper()} {method}{_assumed(part, node) if method == 'model' else ''}"
        for part in ("cpu", "ram", "gpu")
        if pd.notna(method := node[f"meter_method_{part}"])
    ]
    return ", ".join(words) or None


def _assumed(part: str, node: Mapping[Hashable, Any]) -> str:
    """The figures of the power model of a component; '' where they are not recorded."""
    assumed = _params(node["meter_params_json"]) if isinstance(node["meter_params_json"], str) else {}
    if part == "cpu" and (watts := assumed.get("cpu_watts")) is not None:
        return f" {watts:g} W" + (f" ({100 * assumed.get('cpu_idle_w', 0.0) / watts:g} % idle)" if watts else "")
    if part == "ram" and (watts := assumed.get("ram_w")) is not None and pd.notna(node["ram_bytes"]):
        return f" {watts / (node['ram_bytes'] / 2**30):.4g} W/GiB"
    return ""


@cache
def _params(text: str) -> dict[str, Any]:
    """The nodes of a study have it in common."""
    params: dict[str, Any] = json.loads(text)
    return params


def _reserved(rows: pd.DataFrame) -> list[str | None]:
    """What of its node each trial of a run had: '1 CPU', '2 CPUs, 1 GPU'. None where it is not recorded."""
    known = columns(rows, ("cpus_per_trial", "gpus_per_trial"))
    both = zip(as_float(known["cpus_per_trial"]), as_float(known["gpus_per_trial"]).fillna(0.0), strict=True)
    return [None if pd.isna(cpus) else _amounts({"CPU": cpus, "GPU": gpus}) for cpus, gpus in both]


def _amounts(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{amount:g} {what}{'' if amount == 1 else 's'}" for what, amount in amounts.items() if amount)


def _joined(values: pd.Series, keys: pd.Series) -> pd.Series:
    """By key, the distinct values in order of the alphabet, joined."""
    pairs = pd.DataFrame({"key": keys, "value": values}).dropna().drop_duplicates().sort_values("value")
    joined = {key: AND.join(values) for key, values in pairs.astype({"value": str}).groupby("key")["value"]}
    return pd.Series(joined, dtype=object)
