"""What the paper's own numbers say of each of its claims, in Markdown; the arithmetic is in :mod:`analysis.paper`."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from analysis.paper.claims import (
    MARGIN_PP,
    above_their_teacher,
    alone,
    cohens_kappa,
    intensities,
    macro_specificity,
    method,
    pairs,
)
from analysis.paper.numbers import NOTES, PUBLIC_STUDENT, REPEATS
from analysis.rendering.table import as_rows, number, pipes
from analysis.statistics.paired import VERDICTS
from tune_kd.formats import MISSING

CLASSES = 10  # of CIFAR-10, which Table 5 is about; its test set has equally many images of each
COSTS = (("gflops", "FLOPs"), ("energy", "energy"), ("co2e", "CO2e"))


class Said(NamedTuple):
    """An answer in a few words, and the Markdown blocks that it rests on."""

    short: str
    blocks: list[str]


def accuracy() -> Said:
    """Tables 1 and 4: stochastic against tuned τ by data set and loss."""
    found = pairs(4)
    worse = found[found["verdict"] == "worse"]
    named = ", ".join(f"{row['dataset']} with {row['loss']}" for row in as_rows(worse))
    return Said(
        _counts(found),
        [
            _differences(found, ("dataset", "loss")),
            f"Means and ± of {REPEATS} repeats, by Welch's t, Holm over the rows; equivalent: within {MARGIN_PP:g} "
            "percentage points (pp). By its code all repeats began from one seed: its ± leaves out what another "
            "seed would change, so these intervals are too narrow.",
            f"By its own numbers the random τ is worse on {named}." if named else "",
            f"The paper contradicts itself: {NOTES['swapped']}; {NOTES['student']}.",
        ],
    )


def cost() -> Said:
    """All tables with costs: tuned over stochastic τ, and what the teacher makes of that."""
    four, names = pairs(4), {"Table 4, images": 4, "Table 4, voc": 4, "Table 6": 6, "Table 7": 7}
    on_voc = four["dataset"] == "voc"
    frames = dict(zip(names, (four[~on_voc], four[on_voc], pairs(6), pairs(7)), strict=True))
    rows = [[name, str(len(frame)), *(_range(frame[key]) for key, _ in COSTS)] for name, frame in frames.items()]
    energy = pd.concat(list(frames.values()))["energy"]
    table, grams = alone(), intensities()["g_per_kwh"]
    taught = (table["tuned_kwh"] + table["teacher_kwh"]) / (table["stochastic_kwh"] + table["teacher_kwh"])
    dearer = table["stochastic_kwh"] / table["student alone_kwh"]
    return Said(
        f"tuned takes {_range(energy)} times the energy of stochastic",
        [
            pipes(["tuned over stochastic", "pairs", *(head for _, head in COSTS)], rows),
            "By construction: a grid of 19 values, τ from 2 to 20, is 19 trainings. Where all trainings cost the same, "
            "the ratio is 19 before anything is measured. The FLOPs of Table 4 imply "
            f"{_range(four['gflops'][~on_voc], 0)} trainings on images and {_range(four['gflops'][on_voc], 0)} on VOC.",
            f"The teacher's training is in neither. With it, by Table 1, tuned takes {_range(taught)} times the energy "
            f"of stochastic. The stochastic training takes {_range(dearer)} times the energy of the student alone.",
            f"The paper contradicts itself: {NOTES['kwh']}. Its g CO2e over its kWh lie between {grams.min():.0f} and "
            f"{grams.max():.0f} g/kWh, where one electricity has one intensity; rounded kWh explain a part of that.",
        ],
    )


def students() -> Said:
    """Table 1: the students beside the student alone and the teacher; Table 7's students above their teacher."""
    table = alone()
    gain = table["stochastic"] - table["student alone"]
    names = ("teacher", "student alone", "tuned", "stochastic")
    rows = [
        [row["dataset"], *(f"{row[name]:.2f}" for name in names), signed(row["stochastic"] - row["student alone"])]
        for row in as_rows(table)
    ]
    above = [
        f"{row.student} of {row.teacher} on {row.dataset}, {row.method}: {row.numbers['score']:.2f}, Table {row.table}"
        for row in above_their_teacher()
    ]
    return Said(
        f"stochastic is {_range(gain, 2)} pp above the student alone",
        [
            pipes(["data", *names, "stochastic − alone"], rows),
            "The student alone has no ±, so that no interval can be given.",
            f"Above the teacher that Table 1 has: {'; '.join(above)}." if above else "",
        ],
    )


def data_free() -> Said:
    """Table 6."""
    found = pairs(6)
    return Said(
        f"stochastic differs by {_range(found['difference'], 2)} pp; the tuned scores are quoted",
        [
            _differences(found, ("dataset", "loss")),
            f"No verdict: the tuned scores have no ±. {_sentence(NOTES['quoted'])}. The costs of both hold no "
            "synthesis of images, by their size.",
        ],
    )


def teachers() -> Said:
    """Table 7."""
    found = pairs(7)
    return Said(_counts(found), [_differences(found, ("teacher", "student")), f"{_sentence(NOTES['student'])}."])


def detection() -> Said:
    """The rows of Table 4 on VOC."""
    found = pairs(4)
    found = found[found["dataset"] == "voc"]
    best = found[["tuned", "stochastic"]].to_numpy().max()
    return Said(
        _counts(found),
        [
            _differences(found, ("loss",), score="mAP"),
            f"There is no student alone. A public SSDLite-MobileNetV2 without a teacher has {PUBLIC_STUDENT} mAP by 11 "
            f"points, above the paper's best distilled one, {best:.2f}; recipes and definitions differ.",
        ],
    )


def metrics() -> Said:
    """Table 5: what its accuracies imply for specificity, κ and prevalence on ten equally large classes."""
    rows = [*method("teacher", 5), *method("tuned", 5), *method("stochastic", 5)]
    cells, implied = [], []
    for row in rows:
        right = row.numbers["score"] / 100
        implied.append(macro_specificity(right, CLASSES))
        printed = [f"{row.numbers[name]:.2f}" for name in ("specificity", "kappa", "prevalence")]
        ought = [f"{value:.3f}" for value in (implied[-1], cohens_kappa(right, CLASSES), 1 / CLASSES)]
        both = (cell for pair in zip(printed, ought, strict=True) for cell in pair)
        cells.append([row.method, f"{row.numbers['score']:.2f}", *both])
    wrong = rows[-1].numbers["specificity"]
    tuned, drawn = rows[-2:]
    alike = [name for name in ("precision", "recall", "f1") if tuned.numbers[name] == drawn.numbers[name]]
    same = all(row.numbers["specificity"] == row.numbers["recall"] for row in rows)
    headers = ["method", "acc. %", "specificity", "implied", "κ", "implied", "prevalence", "implied"]
    return Said(
        f"a specificity of {wrong:.2f} cannot be the mean over classes: that is {implied[-1]:.3f}",
        [
            pipes(headers, cells),
            f"On {CLASSES} equally large classes accuracy alone decides the mean specificity, 1 − (1 − accuracy)/"
            f"{CLASSES - 1}, and κ." + (" The printed specificity is the recall, in all rows." if same else ""),
            f"To two digits tuned and stochastic τ are alike in {', '.join(alike)}." if alike else "",
            f"The paper contradicts itself: {NOTES['teacher']}.",
        ],
    )


def quantization() -> Said:
    """Table 8."""
    [trained], [drawn] = method("quantization-aware training", 8), method("stochastic", 8)
    [plain] = method("student alone", 8)
    ratio = trained.numbers["energy_kwh"] / drawn.numbers["energy_kwh"]
    gap = drawn.numbers["score"] - trained.numbers["score"]
    rows = [
        [row.method, *(number(row.numbers[name], 4) for name in ("score", "energy_kwh", "co2e_g"))]
        for row in (plain, trained, *method("tuned", 8), drawn)
    ]
    return Said(
        f"quantization is {gap:.2f} pp below stochastic at {number(ratio, 2)} times its energy",
        [
            pipes(["method", "acc. %", "kWh", "g CO2e"], rows),
            "No row has a ±. The table has neither size nor latency, which are what quantization is for, and the two "
            "are no alternatives: a student can be distilled and quantized.",
        ],
    )


def figure(name: str) -> Said:
    """A figure of the paper, of which there are no numbers here."""
    return Said(
        f"{name}, without numbers", [f"{name} is a picture. Its values are not in `analysis/paper/numbers.csv`."]
    )


def signed(value: float) -> str:
    """``+0.12`` or ``−0.12``."""
    return f"{value:+.2f}".replace("-", "−")


def _differences(found: pd.DataFrame, words: tuple[str, ...], score: str = "acc.") -> str:
    rows = [
        [*(row[word] for word in words), *_scores(row), _interval(row), row["verdict"] or MISSING]
        for row in as_rows(found)
    ]
    heads = {"dataset": "data", "loss": "images by" if found["table"].iloc[0] == 6 else "loss"}
    headers = [*(heads.get(word, word) for word in words), f"tuned {score} %", f"stochastic {score} %", "Δ pp [95 %]"]
    return pipes([*headers, "stochastic is"], rows, text_columns=len(words))


def _scores(row: dict[str, Any]) -> list[str]:
    return [
        f"{row[name]:.2f}" + ("" if pd.isna(row[f"spread_{name}"]) else f" ±{row[f'spread_{name}']:.2f}")
        for name in ("tuned", "stochastic")
    ]


def _interval(row: dict[str, Any]) -> str:
    bounds = "" if pd.isna(row["low"]) else f" [{signed(row['low'])}, {signed(row['high'])}]"
    return f"{signed(row['difference'])}{bounds}"


def _counts(found: pd.DataFrame) -> str:
    counts = found["verdict"].value_counts()
    named = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS[::-1] if verdict in counts]
    return f"stochastic in {len(found)} pairs: {', '.join(named)}"


def _range(values: pd.Series, digits: int = 1) -> str:
    low, high = (f"{value:.{digits}f}".replace("-", "−") for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"
