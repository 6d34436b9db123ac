"""What the paper reports, as numbers to stand beside ours.

Rafat et al., "Mitigating carbon footprint for knowledge distillation based deep learning model compression",
PLoS ONE 18(5): e0285668, 2023. Means of five repeats, ± as printed. GFLOPs (M) are 10¹⁵ FLOP in the paper's
convention: forward only, teacher and student.

``numbers.csv`` has every row of the paper's Tables 1 and 4 to 8: score (accuracy, VOC: mAP) and spread in percent, cost
in the paper's units, the other metrics as fractions. A cell is empty where the table has none. The column ``notes`` has
keys of :data:`NOTES`.
"""

from __future__ import annotations

import csv
import re
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

WORDS = ("dataset", "teacher", "student", "loss", "method")
SCORES = ("score", "spread")
COSTS = ("gflops_m", "energy_kwh", "co2e_g")
METRICS = ("precision", "recall", "specificity", "kappa", "prevalence", "f1")

DATASETS = {
    "cifar10": ("cifar10", "cifar10batchespy"),
    "cifar100": ("cifar100", "cifar100python"),
    "tiny-imagenet": ("tinyimagenet", "tinyimagenet200"),
    "voc": ("voc", "pascalvoc"),
}
"""The paper's datasets by the names of their presets, and how each and its folder are called, plain."""
PIXELS = {"cifar10": 32, "cifar100": 32, "tiny-imagenet": 64, "voc": 300}
EPOCHS = {"cifar10": 100, "cifar100": 100, "tiny-imagenet": 100, "voc": 70}
REPEATS = 5  # that its means and ± are of
DATA_FREE_EPOCHS = 200  # of a student on synthesised images
TEACHER = "teacher"  # what the paper's method column says of a teacher
METHODS = {"grid": "tuned", "stochastic": "stochastic", "student": "student alone"}  # the paper's names for ours
QUANTIZED = {"student alone": "quantization-aware training"}  # and what it calls them where students are quantized
COMPARED = ("tuned", "stochastic")  # what the tables over losses and over networks have

# Which of two pairs of detectors the paper had is not known: its text fits the one, its FLOPs that with 3,000 boxes.
SAME_NETWORK = {"ssd300vgg163000": "ssd300vgg16", "ssdlitemobilenetv23000": "ssdlitemobilenetv2"}

PUBLIC_STUDENT = 68.6
"""mAP of a public SSDLite-MobileNetV2 trained on VOC without a teacher (qfgaohao/pytorch-ssd)."""

NOTES = {
    "head": "the head of this table says CIFAR 10 twice; the second is CIFAR-100, by its text and its numbers",
    "kwh": "stochastic τ on Tiny ImageNet takes 1.02 kWh in Table 1, and 1.04 kWh in Tables 4 and 7",
    "quoted": (
        "the tuned scores are quoted, not measured: they are to the digit those of the README of zju-vipa/CMI, where τ "
        "is 20, and 61.34 is that of another student there, WRN-16-2"
    ),
    "student": (
        "on Tiny ImageNet with HKD, Tables 1 and 4 say MobileNetV2; the text on Table 7 says ShuffleNetV2, for which "
        "that table has the same numbers"
    ),
    "swapped": (
        "on CIFAR-10 with HKD, tuned and stochastic τ reach 91.78 and 91.67 in Tables 1 and 4, 91.67 and 91.78 in "
        "Table 5, 91.62 and 91.78 in Table 8"
    ),
    "teacher": "the teacher on CIFAR-10 reaches 95.04 in Table 1, and 94.80 in Table 5",
}
"""Where the paper contradicts itself, or reports what it did not measure."""


class PaperRow(NamedTuple):
    """One row of a table. The networks and the loss that it does not depend on are empty."""

    table: int
    dataset: str
    teacher: str
    student: str
    loss: str
    method: str
    numbers: dict[str, float]  # by column; without those that the table does not have
    notes: tuple[str, ...]  # keys of NOTES

    def is_about(self, words: Mapping[str, str]) -> bool:
        """Whether :data:`WORDS` of ours, their names in any spelling, are those of this row."""
        ours = {name: plain(words[name]) for name in WORDS} | {"loss": plain(words["loss"].removesuffix("-tau"))}
        named = ((plain(getattr(self, name)), SAME_NETWORK.get(ours[name], ours[name])) for name in WORDS)
        return all(theirs in ("", mine) for theirs, mine in named)


def method_of(label: str, *, quantized: bool) -> str:
    """The paper's name for a policy, by its label; ours for one that it does not have."""
    method = METHODS.get(label, label)
    return QUANTIZED.get(method, f"{method}, quantized") if quantized else method


def plain(name: str) -> str:
    """A name in lower-case letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@cache
def paper_rows() -> tuple[PaperRow, ...]:
    """All rows, in the order of the tables."""
    text = resources.files("analysis.paper").joinpath("numbers.csv").read_text("utf-8")
    return tuple(
        PaperRow(
            table=int(row["table"]),
            **{name: row[name] for name in WORDS},
            numbers={name: float(row[name]) for name in (*SCORES, *COSTS, *METRICS) if row[name]},
            notes=tuple(row["notes"].split()),
        )
        for row in csv.DictReader(text.splitlines())
    )


def paper_row(table: int, words: Mapping[str, str]) -> PaperRow | None:
    """The paper's row in a table, for :data:`WORDS` of ours; None where no table has it.

    What the table leaves out is from the others, where they have the same score. The paper's CMC and DML are our
    ``cmc-tau`` and ``dml-tau``: they have τ in them.
    """
    rows = sorted((row for row in paper_rows() if row.is_about(words)), key=lambda row: row.table != table)
    if not rows:
        return None
    same = [row.numbers for row in rows if row.numbers["score"] == rows[0].numbers["score"]]
    return rows[0]._replace(numbers=dict(ChainMap(*same)))
