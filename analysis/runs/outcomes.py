"""What each run came to: its incumbent, everything it spent, and which runs may be compared with it.

Every table and test of this package starts from these rows, so the two rules that decide most are here and nowhere
else: validation chooses (test is only read at its choice), and all that was spent is charged, failures included.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd

from analysis.rendering.table import as_rows
from analysis.runs.accounting import CURRENCIES, Accounting, as_float, columns, processors_energy, run_costs
from analysis.runs.company import company_notes
from analysis.runs.comparable import SETTING, add_place, comparison_notes, comparisons, told_apart
from analysis.runs.contention import contention_notes, waited
from analysis.runs.diverged import diverged_notes, diverged_trials
from analysis.runs.extended import extended_notes
from analysis.runs.overshoot import overshoot_notes
from analysis.runs.own_pace import OWN_PACE, own_pace_runs, own_pace_spent
from tune_kd.formats import energy, plural
from tune_kd.store.columns import ACCURACY
from tune_kd.store.reading.incumbents import incumbents

UNMATCHED = 0.01  # the share of a run's energy from which a difference to its nodes' totals is noted
COUNTED = ("completed",)  # a run that can be a replicate; a stopped one was interrupted and can be resumed
# Of a scenario: words, and what has a column of its own. Data in another place are the same if their split is.
NOT_THE_RECIPE = ("name", "description", "data", "image_column", "label_column", "equivalence_margin")
# What a class says of itself, and of a policy of the user's own: its hash tells it from another one of the same name.
NOT_AN_OPTION = ("adapts", "class", "file", "source")
MOST_NAMED = 5  # runs in a line of prose
POOL = ("pool_id", *filter(None, (currency.pool for currency in CURRENCIES.values())))


def run_outcomes(runs: pd.DataFrame, trials: pd.DataFrame, nodes: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a run, in the order of ``runs``.

    Columns: run_id, comparison (0, 1, …: only rows of one comparison may be compared), apart (in words, from others of
    its setting), the columns of ``SETTING`` and ``PLACE``, label (the policy, told apart from its variants), policy,
    replicate, status, counted, repeated, trials (started), failed, lost, diverged (trials), diverged_at (a list of
    words), incumbent and its params (JSON), tau, val_score, test_score, energy_j, flops_executed, co2e_g, duration_s,
    epochs, the same five ``_with_images``, g_per_kwh (of the CO2e, PUE included), overshoot (in the budget's currency),
    meters_beside_s (the longest of its nodes), looks_json and planned_replicates as recorded, co_tenants and
    side_by_side (the means over its trials), waited and waited_other (shares of its trials' time,
    :func:`analysis.runs.contention.waited`), energy_own_pace_j,
    energy_processors_j (above idle; what trials share is in it whole). Equal replicates have equal seeds. ``counted``
    rows are completed, have a tested incumbent and are the latest of their policy and replicate.
    """
    rows, trials = _settings(runs), columns(trials, ("status", "tau", "test_score", "trial_id", "attempt"))
    _add_trials(rows, trials)
    pooled = columns(rows, POOL)[list(POOL)].notna().any(axis=None)
    for name, currency in CURRENCIES.items():
        rows[currency.trial] = rows["run_id"].map(run_costs(rows, trials, Accounting(currency=name)))
        rows[with_images(currency.trial)] = rows[currency.trial]
        if pooled:
            charged = Accounting(currency=name, images=True)
            rows[with_images(currency.trial)] = rows["run_id"].map(run_costs(rows, trials, charged))
    rows["energy_own_pace_j"] = rows["run_id"].map(run_costs(own_pace_runs(rows), own_pace_spent(trials), Accounting()))
    rows["energy_processors_j"] = rows["run_id"].map(run_costs(rows, processors_energy(trials), Accounting()))
    rows[["waited", "waited_other"]] = waited(rows["run_id"], trials)
    add_place(rows, trials, nodes)
    rows["meters_beside_s"] = rows["run_id"].map(_beside(nodes))
    rows["comparison"], rows["apart"] = comparisons(rows), told_apart(rows)
    rows["label"] = _labels(rows)
    rows["replicate"] = _paired_by_seed(rows)
    finished = rows["status"].isin(COUNTED) & rows["test_score"].notna()
    rows["repeated"] = _repeated(rows, finished)
    rows["counted"] = finished & ~rows["repeated"]
    return rows


def with_images(cost: str) -> str:
    """The column that has a run's ``cost`` with the synthesis of its images; without any it is the same."""
    return f"{cost}_with_images"


def _settings(runs: pd.DataFrame) -> pd.DataFrame:
    """What was planned of each run, one row a run."""
    wanted = ["study", "study_id", "scenario_json", "policy_json", "policy_sha256", "space", "started_at", "seed"]
    wanted += ["replicate", "status", "overshoot", "energy_unmatched_j", "accounting", "code_version"]
    wanted += ["planned_replicates", "looks_json"]
    rows = columns(runs, (*wanted, *(key for key in SETTING if key not in ("recipe", "looks_of"))))
    rows = rows.drop_duplicates("run_id").reset_index(drop=True)
    numbers = ("equivalence_margin", "budget_limit", "overshoot", "energy_unmatched_j")
    rows = rows.assign(**{name: as_float(rows[name]) for name in numbers})
    rows["metric"] = rows["metric"].astype(object).where(rows["metric"].notna(), ACCURACY)
    rows["recipe"] = [_canonical(text, drop=NOT_THE_RECIPE) for text in rows["scenario_json"]]
    # What stops once it is decided keeps its error rates as long as nothing that was not planned with it comes in.
    rows["looks_of"] = rows["study_id"].astype(object).where(rows["looks_json"].notna(), None)
    return rows


def _add_trials(rows: pd.DataFrame, trials: pd.DataFrame) -> None:
    """What a run's trials came to: the incumbent, how many of each kind there were, and the carbon intensity."""
    by_run = rows["run_id"]
    factors = columns(trials, ("carbon_g_per_kwh", "pue"))
    grams = as_float(factors["carbon_g_per_kwh"]) * as_float(factors["pue"])
    rows["g_per_kwh"] = by_run.map(grams.groupby(trials["run_id"]).first())
    best = incumbents(trials)
    for name in ("val_score", "test_score", "tau"):
        rows[name] = as_float(by_run.map(best[name]))
    rows["incumbent"] = by_run.map(best["trial_id"])
    rows["params"] = by_run.map(columns(best, ("params_json",))["params_json"])
    company = columns(trials, ("co_tenants", "side_by_side"))
    for name in ("co_tenants", "side_by_side"):
        rows[name] = as_float(by_run.map(as_float(company[name]).groupby(trials["run_id"]).mean()))
    rows["trials"] = by_run.map(trials.groupby("run_id")["trial_id"].nunique()).fillna(0).astype(int)
    for status in ("failed", "lost"):
        count = (trials["status"] == status).groupby(trials["run_id"]).sum()
        rows[status] = by_run.map(count).fillna(0).astype(int)
    broken = diverged_trials(trials)
    rows["diverged"] = by_run.map(broken["diverged"]).fillna(0).astype(int)
    rows["diverged_at"] = [broken["diverged_at"].get(run_id, []) for run_id in by_run]


def each_policy(frame: pd.DataFrame) -> Iterator[tuple[int, str, pd.DataFrame]]:
    """(comparison, label, its rows) of any frame with these columns, in the order of the rows."""
    for comparison in frame["comparison"].unique():
        mine = frame[frame["comparison"] == comparison]
        for label in mine["label"].unique():
            yield int(comparison), str(label), mine[mine["label"] == label]


def notices(outcomes: pd.DataFrame) -> list[str]:
    """What a reader has to know before the numbers: what was not pooled, what is left out, what is missing."""
    lines = [*comparison_notes(outcomes)]
    if (repeated := outcomes["repeated"]).any():
        lines.append(_repeats(outcomes[repeated]))
    waiting = outcomes[~outcomes["status"].isin(COUNTED)]
    if len(waiting):
        what = ", ".join(_left_out(str(status), mine) for status, mine in waiting.groupby("status", sort=False))
        lines.append(f"not counted: {what}")
    mixed = outcomes.groupby("comparison")["g_per_kwh"].nunique() > 1
    if mixed.any():
        lines.append("CO2e was recorded with several carbon intensities: compare it with --country, or by energy")
    if crowded := int((outcomes["meters_beside_s"] > 0).sum()):
        lines.append(
            f"energies of {plural(crowded, 'run')} were taken while another study (or another Ray node) ran on the "
            f"same machine: its idle and RAM power is split by what the trials of each had reserved"
        )
    lines += extended_notes(outcomes)
    lines += overshoot_notes(outcomes)
    lines += company_notes(outcomes)
    if (outcomes["accounting"] == OWN_PACE).any():
        lines.append(
            "energies and CO2e are at the trials' own pace: modelled RAM and idle only of the time undisturbed"
        )
    if unmatched := int(_unmatched(outcomes).sum()):
        lines.append(
            f"node totals of {plural(unmatched, 'run')} are not those of its trials, as where a driver was killed; "
            f"energy_unmatched_j has the difference"
        )
    lines += contention_notes(outcomes)
    lines += diverged_notes(outcomes)
    empty = outcomes["status"].isin(COUNTED) & outcomes["val_score"].isna()
    if empty.any():
        lines.append(f"{plural(int(empty.sum()), 'run')} ended without a finished trial")
    untested = outcomes["status"].isin(COUNTED) & outcomes["val_score"].notna() & outcomes["test_score"].isna()
    if untested.any():
        lines.append(f"{plural(int(untested.sum()), 'run')} left out: the incumbent was never tested")
    return lines


def _unmatched(outcomes: pd.DataFrame) -> pd.Series:
    """Which runs are charged for what their nodes have not counted, beyond outputs that an earlier run computed."""
    parts = columns(outcomes, ("energy_unmatched_j", "shared_energy_j"))
    unmatched_j, shared_j = as_float(parts["energy_unmatched_j"]), as_float(parts["shared_energy_j"]).fillna(0.0)
    noted_j = UNMATCHED * outcomes["energy_j"]
    return (unmatched_j.abs() > noted_j) & ((unmatched_j - shared_j).abs() > noted_j)


def _repeats(runs: pd.DataFrame) -> str:
    """Which runs are in no table, as later ones have their policy and replicate."""
    said = []
    for row in as_rows(columns(runs, ("study_id",))):
        study = "" if pd.isna(row["study_id"]) else f" of study {row['study_id']}"
        said.append(f"{row['label']} r{row['replicate']:g}{study}")
    more = [f"{len(said) - MOST_NAMED} more"] if len(said) > MOST_NAMED else []
    what = ", ".join([*said[:MOST_NAMED], *more])
    return f"{plural(len(said), 'run')} left out, run again later with the same policy and replicate: {what}"


def _left_out(status: str, runs: pd.DataFrame) -> str:
    """'3 runs failed (grid 1, tpe 2, 41.2 mWh)': what they spent is in no policy's cost, so it is said here.

    Where some of them was not measured, it is 'at least' that.
    """
    by_policy = ", ".join(f"{label} {count}" for label, count in runs["label"].value_counts(sort=False).items())
    spent, partial = runs["energy_j"].sum(), (runs["energy_j"].isna() & (runs["trials"] > 0)).any()
    cost = f", {'at least ' if partial else ''}{energy(spent)}" if spent > 0 else ""
    return f"{plural(len(runs), 'run')} {status} ({by_policy}{cost})"


def _canonical(text: object, drop: Sequence[str] = ()) -> str:
    """A JSON object as text, its keys sorted and without those to ``drop``, so that equal objects are equal texts."""
    if not isinstance(text, str):
        return ""
    parsed = json.loads(text)
    return json.dumps({key: value for key, value in parsed.items() if key not in drop}, sort_keys=True)


def _beside(nodes: pd.DataFrame | None) -> pd.Series:
    """By run, for how long trials of other meters were on a node of it; NaN where no node knows."""
    known = columns(pd.DataFrame() if nodes is None else nodes, ("run_id", "meters_beside_s"))
    return as_float(known["meters_beside_s"]).groupby(known["run_id"]).max()


def _paired_by_seed(rows: pd.DataFrame) -> pd.Series:
    """The replicate of each run, such that equal numbers within a comparison have seen the same seeds and batches.

    Where studies of several ``--seed`` come together, one number stands for several seeds: they are numbered anew.
    """
    seeds = rows.groupby(["comparison", "replicate"], dropna=False)["seed"].transform("nunique")
    several = seeds.groupby(rows["comparison"]).transform("max") > 1
    anew = rows.sort_values(["replicate", "seed"], kind="stable").groupby(["comparison", "seed"], sort=False).ngroup()
    first = anew.groupby(rows["comparison"]).transform("min")
    return rows["replicate"].where(~several, anew.reindex(rows.index) - first)


def _repeated(rows: pd.DataFrame, finished: pd.Series) -> pd.Series:
    """True for a finished run whose policy and replicate were run again later in the same comparison.

    The same seeds twice are not two replicates.
    """
    done = rows[finished].sort_values("started_at", kind="stable", na_position="first")
    earlier = done.duplicated(["comparison", "label", "replicate"], keep="last")
    return earlier.reindex(rows.index, fill_value=False)


def _labels(rows: pd.DataFrame) -> pd.Series:
    """The name of each run's policy; variants of one policy within a comparison get what tells them apart."""
    labels: pd.Series = rows["policy"].astype(str).copy()
    for (_, name), group in rows.groupby(["comparison", "policy"], sort=False):
        if group["space"].nunique() > 1:
            labels[group.index] += "/" + group["space"].astype(str)
        texts = group["policy_json"].map(partial(_canonical, drop=NOT_AN_OPTION))
        if texts.nunique() > 1:
            differences = _differences(list(texts.unique()))
            labels[group.index] += " " + texts.map(differences).astype(str)
        elif group["policy_sha256"].nunique() > 1:
            labels[group.index] = str(name) + " " + group["policy_sha256"].astype(str).str[:6]
    return labels


def _differences(texts: Sequence[str]) -> dict[str, str]:
    """For JSON objects, the fields in which they differ: 'shape=cosine'."""
    options = {text: json.loads(text or "{}") for text in texts}
    names = sorted({name for fields in options.values() for name in fields})
    names = [name for name in names if len({json.dumps(fields.get(name)) for fields in options.values()}) > 1]
    return {text: ",".join(f"{name}={fields.get(name)}" for name in names) for text, fields in options.items()}
