"""What a store's records say of each of the paper's claims, in Markdown; that nothing is recorded where it is so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.data import accuracy_by
from analysis.pages.by_temperature import friedman
from analysis.pages.compared import ALONE, DRAWN, NOTHING, TUNED, Compared, comparisons
from analysis.pages.paper_numbers import Said
from analysis.paper.claims import macro_specificity
from analysis.paper.figure_tables import PER, accuracy_by_batch, inference
from analysis.ranking import interval
from analysis.rendering.table import as_rows, number, pipes, plus_minus
from analysis.runs.accounting import as_float, columns
from analysis.runs.reading import Records
from analysis.statistics.paired import LEVEL
from analysis.summary import REPLICATES_TO_CONCLUDE
from tune_kd.formats import MISSING, percentage
from tune_kd.store.columns import ACCURACY


def accuracy(records: Records) -> Said:
    """Stochastic against tuned τ where students learn from images."""
    return _against_tuned(records, lambda one: one.metric == ACCURACY and not one.words["synthesis"])


def data_free(records: Records) -> Said:
    """The same where images are synthesised."""
    return _against_tuned(records, lambda one: bool(one.words["synthesis"]))


def detection(records: Records) -> Said:
    """The same for detectors."""
    return _against_tuned(records, lambda one: one.metric != ACCURACY)


def teachers(records: Records) -> Said:
    """The same on data sets on which several pairs of teacher and student are compared."""
    pairs: dict[str, set[tuple[str, str]]] = {}
    for one in comparisons(records, DRAWN, TUNED):
        pairs.setdefault(one.data, set()).add((one.words["teacher"], one.words["student"]))
    return _against_tuned(records, lambda one: len(pairs[one.data]) > 1)


def students(records: Records) -> Said:
    """Both against the student alone."""
    rows: list[list[str]] = []
    shorts = []
    for one in comparisons(records, ALONE, DRAWN):
        pairs = {label: one.pair(label, ALONE) for label in (DRAWN, TUNED)}
        rows += [
            [one.title, label, str(pair["n"]), _interval(pair), pair["verdict"]]
            for label, pair in pairs.items()
            if pair
        ]
        if pair := pairs[DRAWN]:  # with planned looks there are the pairs with their reference alone
            shorts.append(f"{one.data}: stochastic is {pair['verdict']} ({_interval(pair)} pp)")
    if not rows:
        return NOTHING
    headers = ["what was trained", "policy", "n", "− student alone, pp [95 %]", "is"]
    return Said("; ".join(shorts), [pipes(headers, rows, text_columns=2), "Holm over all policies of the comparison."])


def by_tau(records: Records) -> Said:
    """Test accuracy by the τ of a grid, and Friedman's test that τ makes no difference."""
    rows, shorts = [], []
    for one in comparisons(records, TUNED):
        grid = one.outcomes[(one.outcomes["label"] == TUNED) & one.outcomes["counted"]]
        curve = accuracy_by(grid, one.trials, "tau")
        p = friedman(grid, one.trials)
        if len(curve) < 3 or not np.isfinite(p):
            continue
        ordered = curve.sort_values("mean")
        worst, best = ordered.iloc[0], ordered.iloc[-1]
        ends = [f"τ {row['tau']:g}: {percentage(row['mean'], 2)} %" for row in (best, worst)]
        decided = "differs by τ" if p < LEVEL else "no difference is shown"
        rows.append([one.title, str(int(curve["n"].min())), *ends, number(p, 2), decided])
        shorts.append(f"{one.data}: {decided}, {number(100 * (best['mean'] - worst['mean']))} pp")
    if not rows:
        return NOTHING
    headers = ["what was trained", "n", "best mean", "worst mean", "p", "accuracy"]
    note = "p: Friedman's test over the replicates that τ makes no difference. Best and worst are picked afterwards."
    return Said("; ".join(shorts), [pipes(headers, rows), note])


def batches(records: Records) -> Said:
    """Accuracy by batch size on data sets with several sizes."""
    by_data: dict[tuple[str, ...], list[Compared]] = {}
    for one in comparisons(records, DRAWN):
        by_data.setdefault(tuple(str(one.words[key]) for key in ("dataset", "teacher", "student", "loss")), []).append(
            one
        )
    rows = []
    for (dataset, *_), ones in by_data.items():
        found = accuracy_by_batch(pd.concat([one.outcomes for one in ones]), pd.concat([one.runs for one in ones]))
        if found["batch_size"].nunique() > 1:
            rows += [
                [
                    dataset,
                    str(row["batch_size"]),
                    row["method"],
                    str(row["n"]),
                    plus_minus(row["accuracy"], row["spread"]),
                ]
                for row in as_rows(found)
            ]
    if not rows:
        return NOTHING
    return Said(f"{len(rows)} rows", [pipes(["data", "batch", "policy", "n", "acc. %"], rows)])


def inferences(records: Records) -> Said:
    """What predicting costs the students beside what it costs the teachers, where both were timed."""
    found = inference(records.runs, records.trials)
    if set(found["role"]) != {"teacher", "student"}:
        return NOTHING
    rows = [
        [
            row["network"],
            row["role"],
            str(row["n"]),
            *(number(row[name]) for name in ("inference_s", "inference_energy_j")),
        ]
        for row in as_rows(found)
    ]
    return Said(
        f"{len(rows)} networks", [pipes(["network", "role", "trials", f"s/{PER}", f"J/{PER}"], rows, text_columns=2)]
    )


def metrics(records: Records) -> Said:
    """Specificity and κ of the incumbents beside what their accuracy implies."""
    rows = []
    for one in comparisons(records, DRAWN, TUNED):
        names = ("confusion", "specificity_macro", "kappa", "prevalence")
        tested = columns(one.trials, names).dropna(subset=["confusion"]).set_index("trial_id")
        if one.metric != ACCURACY or tested.empty:
            continue
        classes = len(tested["confusion"].iloc[0])
        for label in (TUNED, DRAWN):
            mine = one.outcomes[(one.outcomes["label"] == label) & one.outcomes["counted"]]
            mean = tested.loc[mine["incumbent"], list(names[1:])].apply(as_float).mean()
            right = mine["test_score"].mean()
            cells = [f"{value:.3f}" for value in (mean.iloc[0], macro_specificity(right, classes), *mean.iloc[1:])]
            rows.append([one.data, label, str(len(mine)), percentage(right, 2), *cells])
    if not rows:
        return NOTHING
    headers = ["data", "policy", "n", "acc. %", "specificity", "implied", "κ", "prevalence"]
    lowest = min(rows, key=lambda row: float(row[3]))
    short = f"a mean specificity of {lowest[4]} goes with an accuracy of {lowest[3]} % ({lowest[0]})"
    return Said(
        short, [pipes(headers, rows, text_columns=2), "*Implied*: by accuracy, were all classes equally large."]
    )


def of_study(records: Records, name: str, analysis: str) -> Said:
    """How many runs of one of the paper's studies are recorded, at whichever scale, and the analysis that has them."""
    runs = columns(records.runs, ("study",))["study"].astype(str)
    count = int(runs.str.match(rf"{name}(-small)?$").sum())
    if not count:
        return NOTHING
    return Said(f"{count} runs", [f"{count} runs of `{name}`: `tune-kd analyse {analysis}` shows them."])


def _against_tuned(records: Records, chosen: Callable[[Compared], bool]) -> Said:
    rows, shorts = [], []
    for one in comparisons(records, DRAWN, TUNED):
        if not chosen(one):
            continue
        pair = one.pair(DRAWN, TUNED)
        means = one.outcomes[one.outcomes["counted"]].groupby("label")["test_score"].mean()
        scores = [percentage(means.get(label), 2) for label in (TUNED, DRAWN)]
        needed = MISSING if pd.isna(pair["replicates_needed"]) else f"{pair['replicates_needed']:.0f}"
        rows.append([one.title, str(pair["n"]), *scores, _interval(pair), pair["verdict"], needed])
        stamp = "" if pair["n"] >= REPLICATES_TO_CONCLUDE or pd.notna(pair["look"]) else ", screening"
        shorts.append(f"{one.data}: {pair['verdict']} ({_interval(pair)} pp, n = {pair['n']}{stamp})")
    if not rows:
        return NOTHING
    headers = ["what was trained", "n", "tuned %", "stochastic %", "Δ pp [95 %]", "stochastic is", "n needed"]
    note = (
        "*n needed*: replicates for a verdict, were the difference as seen; Holm over all policies of the comparison."
    )
    return Said("; ".join(shorts), [pipes(headers, rows), note])


def _interval(pair: Mapping[str, Any]) -> str:
    """The difference with its interval, and the level of that where it is a look's."""
    level = f" ({100 * pair['confidence']:.3g} %)" if pair["confidence"] != 1 - LEVEL else ""
    return interval(pair) + level
