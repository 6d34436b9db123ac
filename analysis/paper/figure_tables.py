"""The paper's figures as tables of numbers.

Fig 1 (inference, training CO2e), 3a (fixed τ), 3b (batch sizes) and 4 (logits, Grad-CAM).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.captions import replicates
from analysis.command import main
from analysis.explanation import explanation_table
from analysis.figures.data import accuracy_by
from analysis.figures.explanation_plots import shown_classes
from analysis.figures.explanations import Explanation, explanations
from analysis.paper.datasets import scenario_words
from analysis.paper.numbers import method_of
from analysis.rendering.table import Table, as_rows, number, plus_minus
from analysis.runs.accounting import as_float, columns
from analysis.runs.outcomes import each_policy
from analysis.runs.reading import Records

PER = 1000  # images that inference costs are given for
INFERENCE = ("inference_s", "inference_energy_j", "inference_co2e_g")
TIMED = "-timed"  # how the id of the part ends whose network is trained for its inference alone


def inference(runs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """What predicting in float32 costs by network, the mean over all tested trials in which it was the student.

    Columns: network, role (teacher where some run distils from it, else student), n, and per 1,000 test images
    inference_s, inference_energy_j, inference_co2e_g; NaN where nothing was measured.
    """
    words = pd.DataFrame([scenario_words(run) for _, run in runs.iterrows()], index=runs["run_id"])
    tested = columns(trials, ("confusion", *INFERENCE)).dropna(subset=["confusion"])
    tested = tested[~tested["run_id"].isin([run_id for run_id, quantized in words["quantized"].items() if quantized])]
    images = tested["confusion"].map(lambda matrix: float(sum(map(sum, matrix))))
    each = tested[list(INFERENCE)].apply(as_float).mul(PER / images, axis=0)
    each["network"] = tested["run_id"].map(words["student"])
    rows = each.groupby("network")[list(INFERENCE)].mean()
    rows.insert(0, "n", each.groupby("network").size())
    rows.insert(0, "role", ["teacher" if name in set(words["teacher"]) else "student" for name in rows.index])
    return rows.reset_index()


def training(outcomes: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Fig 1a: accuracy against the CO2e of training, a row for each network and policy and one for each teacher.

    Columns: network, epochs, method, n, accuracy, spread (fractions), co2e_g. A network that was trained only so that
    its inference could be timed is no student.
    """
    by_run = columns(runs, ("study_id",)).drop_duplicates("run_id").set_index("run_id")
    timed = by_run.index[by_run["study_id"].astype(str).str.endswith(TIMED)]
    rows = []
    for _, label, mine in each_policy(outcomes[outcomes["counted"] & ~outcomes["run_id"].isin(timed)]):
        words = scenario_words(by_run.loc[mine["run_id"].iloc[0]])
        named = {"network": words["student"], "epochs": words["epochs"]}
        named["method"] = method_of(label, quantized=words["quantized"])
        rows.append({**named, **_reached(mine)})
    names = ["network", "epochs", "method", "n", "accuracy", "spread", "co2e_g"]
    return pd.DataFrame([*rows, *_teachers(runs)], columns=names)


def accuracy_by_batch(outcomes: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Fig 3b: test accuracy of each policy by the batch size of the student's recipe.

    Columns: batch_size, method, n, accuracy, spread (fractions), co2e_g.
    """
    by_run = runs.drop_duplicates("run_id").set_index("run_id")
    rows = []
    for _, label, mine in each_policy(outcomes[outcomes["counted"]]):
        one = by_run.loc[mine["run_id"].iloc[0]]
        method = method_of(label, quantized=scenario_words(one)["quantized"])
        rows.append({"batch_size": _batch_size(one["scenario_json"]), "method": method, **_reached(mine)})
    frame = pd.DataFrame(rows, columns=["batch_size", "method", "n", "accuracy", "spread", "co2e_g"])
    return frame.sort_values(["batch_size", "method"], kind="stable").reset_index(drop=True)


def fig1(records: Records) -> list[Table]:
    """Inference of each network (1b, 1c), then accuracy against training CO2e (1a)."""
    data = inference(records.runs, records.trials)
    rows = [
        [row["network"], row["role"], str(row["n"]), *(number(row[name], 3) for name in INFERENCE)]
        for row in as_rows(data)
    ]
    headers = ["network", "role", "trials", f"s/{PER}", f"J/{PER}", f"g CO2e/{PER}"]
    notes = [f"per {PER:,} test images; — was not measured", *_modelled(records)]
    first = Table(
        title="Fig 1b, c: inference",
        headers=headers,
        rows=rows,
        data=data,
        notes=notes,
        text_columns=2,
        caption=(
            f"What predicting {PER:,} test images costs in float32, by network: seconds, joules and g CO2e, means over "
            f"{replicates(data['n'], 'tested trial')}."
        ),
    )
    reached = training(records.outcomes, records.runs).sort_values("co2e_g", kind="stable")
    title = "Fig 1a: accuracy against training CO2e"
    return [first, _accuracies(reached, ["network", "epochs", "method"], title, _modelled(records))]


def fig3a(records: Records) -> list[Table]:
    """Accuracy by fixed τ."""
    data = accuracy_by(records.outcomes, records.trials, "tau")
    rows = [
        [f"{row['tau']:g}", number(100 * row["mean"], 4), number(100 * row["low"], 4), number(100 * row["high"], 4)]
        for row in as_rows(data)
    ]
    notes = ["test accuracy; the interval is 95 % over replicates, — for one"]
    headers = ["τ", "acc. %", "low", "high"]
    caption = (
        "Test accuracy in percent of trials at a constant τ, those of a replicate averaged first: mean over "
        f"{replicates(data['n'])} with its 95 % Student t interval. On the test set, so not a way to choose τ."
    )
    title = "Fig 3a: accuracy by fixed τ"
    return [Table(title=title, headers=headers, rows=rows, data=data, notes=notes, caption=caption)]


def fig3b(records: Records) -> list[Table]:
    """Accuracy by batch size."""
    data = accuracy_by_batch(records.outcomes, records.runs)
    return [_accuracies(data, ["batch_size", "method"], "Fig 3b: accuracy by batch size", _modelled(records))]


def fig4(records: Records) -> list[Table]:
    """Teacher and students side by side, and 4a: their logits of one test image, of the third class if there is one.

    The paper's is of class 2, bird.
    """
    found = list(explanations(records).values())
    return [explanation_table(one) for one in found] + [table for one in found for table in _logits(one)]


def _logits(found: Explanation) -> list[Table]:
    place = min(2, len(found.examples) - 1)
    known = [one for one in found.networks if one.logits is not None]
    if not known or place < 0:
        return []
    shown, classes = shown_classes(found, place), found.examples.classes
    logits = {one.label: one.logits[place][shown] for one in known if one.logits is not None}
    data = pd.DataFrame.from_dict(logits, orient="index", columns=[classes[label] for label in shown])
    return [
        Table(
            title=f"Fig 4a: logits of {found.examples.names[place]}, {classes[found.examples.labels[place]]}",
            headers=["network", *data.columns],
            rows=[[name, *(f"{value:.2f}" for value in values)] for name, values in logits.items()],
            data=data.rename_axis("network").reset_index(),
            notes=["paper: bars of one image of class bird, no numbers; ours are of the first replicate"],
            caption=(
                f"Logits of the test image {found.examples.names[place]}, class "
                f"{classes[found.examples.labels[place]]}, by network: n = 1 replicate, the first; no interval."
            ),
        )
    ]


def tables(records: Records, currency: str) -> list[Table]:
    """All of them."""
    return [] if records.outcomes.empty else [*fig1(records), *fig3a(records), *fig3b(records), *fig4(records)]


def _modelled(records: Records) -> list[str]:
    methods = columns(records.trials, ("energy_method",))["energy_method"]
    return ["energy and CO2e are a power model's"] if (methods == "model").any() else []


def _accuracies(data: pd.DataFrame, words: list[str], title: str, remarks: list[str]) -> Table:
    rows = [
        [*(str(row[word]) for word in words), plus_minus(row["accuracy"], row["spread"], 2), number(row["co2e_g"], 4)]
        for row in as_rows(data)
    ]
    headers = [*(word.replace("_", " ") for word in words), "acc. %", "g CO2e"]
    notes = [
        "test accuracy of the validation-chosen incumbent; CO2e of a whole run, without the teacher's training",
        *(["a teacher's row has the CO2e of its own training"] if "teacher" in set(data["method"]) else []),
        *remarks,
    ]
    caption = (
        f"{title}: test accuracy in percent of the incumbent, which validation chose, mean ± standard deviation over "
        f"{replicates(data['n'])}; g CO2e of a whole run, a mean over replicates."
    )
    return Table(
        title=title, headers=headers, rows=rows, data=data, notes=notes, text_columns=len(words), caption=caption
    )


def _reached(mine: pd.DataFrame) -> dict[str, Any]:
    accuracy = mine["test_score"]
    spread = accuracy.std(ddof=1) if len(mine) > 1 else np.nan
    return {"n": len(mine), "accuracy": accuracy.mean(), "spread": spread, "co2e_g": mine["co2e_g"].mean(skipna=False)}


def _teachers(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each network that was trained as a teacher, the mean over its trainings."""
    names = ("teacher_id", "teacher_test_score", "teacher_co2e_g")
    trained = columns(runs, names).dropna(subset=["teacher_test_score"]).drop_duplicates("teacher_id")
    fields = [json.loads(text) for text in trained["scenario_json"]]
    trained = trained.assign(
        network=[field.get("teacher") for field in fields],
        epochs=[field.get("teacher_recipe", {}).get("epochs") for field in fields],
        test_score=as_float(trained["teacher_test_score"]),
        co2e_g=as_float(trained["teacher_co2e_g"]),
    )
    return [
        {"network": network, "epochs": epochs, "method": "teacher", **_reached(mine)}
        for (network, epochs), mine in trained.groupby(["network", "epochs"], dropna=False)
    ]


def _batch_size(scenario_json: object) -> int | None:
    fields = json.loads(scenario_json) if isinstance(scenario_json, str) else {}
    size = (fields.get("recipe") or {}).get("batch_size")
    return None if size is None else int(size)


if __name__ == "__main__":
    raise SystemExit(main(tables, __doc__))
