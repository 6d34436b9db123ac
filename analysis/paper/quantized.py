"""What int8 costs in accuracy, and saves in bytes, time and energy: each int8 network beside its own in float32."""

from __future__ import annotations

import pandas as pd

from analysis.captions import replicates
from analysis.paper.datasets import scenario_words
from analysis.paper.numbers import method_of
from analysis.rendering.table import Table, as_rows, number
from analysis.runs.accounting import as_float, columns
from analysis.runs.reading import Records
from tune_kd.formats import percentage

PER = 1000  # images that inference costs are given for
UNITS = {"weight_bytes": 1e6, "inference_s": 1, "inference_energy_j": 1}  # what they are shown in, in base units
PAIRS = ("test_score", *UNITS)  # columns of trials that have a float_ beside them
WORDS = ["dataset", "student", "method", "runtime"]


def int8_frame(runs: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """A row for each network, method and runtime: means over all tested trials of which int8 networks were made.

    Columns: dataset, student, method, runtime, n, and twice, those of float32 with ``float_`` before, test_score,
    weight_bytes, and per 1,000 test images inference_s and inference_energy_j; NaN where nothing was measured.
    """
    names = (*PAIRS, *(f"float_{name}" for name in PAIRS), "confusion", "inference_runtime")
    tested = columns(trials, names).dropna(subset=["float_weight_bytes"])
    numbers = list(names[:-2])
    each = tested[numbers].apply(as_float)
    images = tested["confusion"].map(lambda matrix: float(sum(map(sum, matrix))))
    per_images = [name for name in numbers if "inference" in name]
    each[per_images] = each[per_images].mul(PER / images, axis=0)
    by_run = runs.drop_duplicates("run_id").set_index("run_id")
    for word in ("dataset", "student"):
        each[word] = [scenario_words(by_run.loc[run_id])[word] for run_id in tested["run_id"]]
    each["method"] = [method_of(by_run.loc[run_id, "policy"], quantized=True) for run_id in tested["run_id"]]
    each["runtime"] = tested["inference_runtime"]
    found = each.groupby(WORDS)
    frame = found[numbers].mean()
    frame.insert(0, "n", found.size())
    return frame.reset_index()


def int8_beside_float32(records: Records) -> Table:
    """Accuracy, bytes, seconds and joules of both networks, side by side."""
    data = int8_frame(records.runs, records.trials)
    rows = [
        [
            *(str(row[word]) for word in ("dataset", "student", "method")),
            *(percentage(row[f"{side}test_score"], 2) for side in ("float_", "")),
            *(number(row[f"{side}{name}"] / unit) for name, unit in UNITS.items() for side in ("float_", "")),
        ]
        for row in as_rows(data)
    ]
    heads = ("acc. %", "MB", f"s/{PER}", f"J/{PER}")
    return Table(
        title="float32 beside int8",
        headers=["dataset", "student", "method", *(head for name in heads for head in (name, f"int8 {name}"))],
        rows=rows,
        data=data,
        notes=[
            f"on the test set; per {PER:,} images; both networks on the CPU in {' or '.join(_runtimes(data))}",
            "MB: the tensors that a network reads",
        ],
        text_columns=3,
        caption=(
            "Students in float32 beside the int8 networks that they became: test accuracy in percent, size, seconds "
            f"and joules, means over {replicates(data['n'], 'tested trial')}."
        ),
    )


def _runtimes(data: pd.DataFrame) -> list[str]:
    return sorted(set(data["runtime"].dropna())) or ["no runtime"]
