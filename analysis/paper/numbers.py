"""What the paper reports, as numbers to stand beside ours.

Rafat et al., "Mitigating carbon footprint for knowledge distillation based deep learning model compression",
PLoS ONE 18(5): e0285668, 2023. Means of five repeats, ± as printed. GFLOPs (M) are 10¹⁵ FLOP in the paper's
convention: forward only, teacher and student.
"""

from __future__ import annotations

from typing import NamedTuple

CLASSIFIERS = (("resnet18", "mobilenetv2"),)
# Which of the two pairs of detectors the paper had is not known: its text fits the first, its FLOPs the second.
DETECTORS = (("ssd300vgg16", "ssdlitemobilenetv2"), ("ssd300vgg163000", "ssdlitemobilenetv23000"))


class PaperRow(NamedTuple):
    """One row: score (accuracy, VOC: mAP) and its spread in percent, cost in the paper's units; None where none is."""

    dataset: str
    loss: str
    method: str
    score: float
    spread: float | None
    gflops_m: float | None
    energy_kwh: float
    co2e_g: float


PAPER = tuple(
    PaperRow(*row)
    for row in (
        ("cifar10", "", "teacher", 95.04, None, None, 0.28, 74.25),
        ("cifar10", "", "student alone", 90.52, None, 2.16, 0.16, 45.02),
        ("cifar10", "hkd", "tuned", 91.78, 0.14, 128.30, 3.99, 1173.44),
        ("cifar10", "hkd", "stochastic", 91.67, 0.23, 6.42, 0.21, 61.76),
        ("cifar10", "cmc", "tuned", 92.35, 0.24, 128.30, 3.93, 1192.81),
        ("cifar10", "cmc", "stochastic", 91.65, 0.13, 6.42, 0.21, 61.17),
        ("cifar10", "dml", "tuned", 91.00, 0.04, 128.30, 4.01, 1161.00),
        ("cifar10", "dml", "stochastic", 91.05, 0.13, 6.42, 0.20, 58.05),
        ("cifar100", "", "teacher", 76.03, None, None, 0.25, 65.55),
        ("cifar100", "", "student alone", 67.80, None, None, 0.16, 44.23),
        ("cifar100", "hkd", "tuned", 69.70, 0.12, 128.40, 3.80, 1170.40),
        ("cifar100", "hkd", "stochastic", 69.40, 0.37, 6.42, 0.20, 61.60),
        ("cifar100", "cmc", "tuned", 73.56, 0.17, 128.40, 3.92, 1164.7),
        ("cifar100", "cmc", "stochastic", 72.23, 0.24, 6.42, 0.21, 61.30),
        ("cifar100", "dml", "tuned", 72.90, 0.04, 128.40, 3.74, 1109.40),
        ("cifar100", "dml", "stochastic", 72.56, 0.15, 6.42, 0.19, 58.04),
        ("tinyimagenet", "", "teacher", 63.39, None, None, 1.43, 413.60),
        ("tinyimagenet", "", "student alone", 59.64, None, None, 0.68, 182.53),
        ("tinyimagenet", "hkd", "tuned", 60.46, 0.07, 975, 19.09, 5595.31),
        ("tinyimagenet", "hkd", "stochastic", 60.53, 0.31, 48.75, 1.04, 304.88),
        ("tinyimagenet", "cmc", "tuned", 62.76, 0.17, 975, 20.21, 5949.93),
        ("tinyimagenet", "cmc", "stochastic", 59.84, 0.11, 48.75, 1.00, 293.10),
        ("tinyimagenet", "dml", "tuned", 63.30, 0.11, 975, 19.38, 5748.64),
        ("tinyimagenet", "dml", "stochastic", 63.35, 0.07, 48.75, 1.02, 302.56),
        ("voc", "hkd", "tuned", 65.45, 0.07, 1371, 31.25, 9235.39),
        ("voc", "hkd", "stochastic", 65.48, 0.15, 72.17, 1.69, 499.21),
        ("voc", "cmc", "tuned", 64.87, 0.13, 1371, 32.27, 9527.55),
        ("voc", "cmc", "stochastic", 64.67, 0.12, 72.17, 1.70, 501.45),
        ("voc", "dml", "tuned", 65.10, 0.09, 1371, 30.24, 8903.52),
        ("voc", "dml", "stochastic", 64.98, 0.24, 72.17, 1.68, 494.64),
    )
)
DATASETS = {
    "cifar10": ("cifar10", "cifar10batchespy"),
    "cifar100": ("cifar100", "cifar100python"),
    "tinyimagenet": ("tinyimagenet", "tinyimagenet200"),
    "voc": ("voc", "pascalvoc"),
}
"""The paper's datasets, and how each and its folder are called, in letters and digits alone."""
PIXELS = {"cifar10": 32, "cifar100": 32, "tinyimagenet": 64, "voc": 300}
EPOCHS = {"cifar10": 100, "cifar100": 100, "tinyimagenet": 100, "voc": 70}
METHODS = {"grid": "tuned", "stochastic": "stochastic", "student": "student alone"}  # the paper's names for ours
COMPARED = ("tuned", "stochastic")  # what the tables over losses and over networks have


PUBLIC_STUDENT = 68.6
"""mAP of a public SSDLite-MobileNetV2 trained on VOC without a teacher (qfgaohao/pytorch-ssd)."""


def is_papers_pair(dataset: str, teacher: str, student: str) -> bool:
    """Whether the paper has these networks, their names in letters and digits alone, on the dataset."""
    return (teacher, student) in (DETECTORS if dataset == "voc" else CLASSIFIERS)


def paper_row(dataset: str, loss: str, method: str) -> PaperRow | None:
    """The paper's row for a dataset and method; the loss does not matter to the teacher and the student alone."""
    for row in PAPER:
        if (row.dataset, row.method) == (dataset, method) and row.loss in ("", loss):
            return row
    return None
