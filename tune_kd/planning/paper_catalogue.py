"""The paper's tables and figures by name: which scenarios with which policies. Nothing is loaded to read it.

A study is a list of comparisons, its parts, that are planned together: :mod:`tune_kd.planning.paper_studies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tune_kd.errors import unknown

SEARCHED = ("grid", "stochastic")  # the two that the paper compares
IMAGES = ("cifar10", "cifar100", "tiny-imagenet")
LOSSES = ("hkd", "cmc-tau", "dml-tau")  # in CMC and DML τ counts only in the paper's altered forms
DATA_FREE = "-data-free"  # how presets end whose students see no training image
INVERSIONS = ("cmi", "deep-inversion")
BATCH_SIZES = (32, 64, 128, 256, 512)


class DataSet(NamedTuple):
    """How large a data set of the paper is."""

    classes: int
    images: int  # to train and to validate on


DATA_SETS = {
    "cifar10": DataSet(classes=10, images=50_000),
    "cifar100": DataSet(classes=100, images=50_000),
    "tiny-imagenet": DataSet(classes=200, images=100_000),
    "voc": DataSet(classes=20, images=16_551),
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One comparison: policies on a scenario preset with some of its fields set."""

    label: str
    scenario: str
    policies: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """The name of its data set, as ``--data NAME=DIR`` has it."""
        return self.scenario.removesuffix(DATA_FREE)

    @property
    def quantized(self) -> bool:
        """Are its students quantized?"""
        return any(key.startswith("quantization.") for key in self.settings)


@dataclass(frozen=True, kw_only=True)
class PaperStudy:
    """What reproduces one table or figure of the paper."""

    title: str
    parts: tuple[Part, ...]

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The data sets that are needed, each once."""
        return tuple(dict.fromkeys(part.data for part in self.parts))


def _table4(*data: str) -> tuple[Part, ...]:
    """HKD has the student alone beside it. The paper has none on VOC, which ours needs to be judged by."""
    return tuple(
        Part(
            label=f"{name} {loss}",
            scenario=name,
            policies=("student", *SEARCHED) if loss == "hkd" else SEARCHED,
            settings={"loss": loss},
        )
        for name in data
        for loss in LOSSES
    )


def _table6() -> tuple[Part, ...]:
    """Images out of the teacher, by two methods; their forms that look at no student, as τ is all that differs."""
    return tuple(
        Part(
            label=f"{data} {method}",
            scenario=f"{data}{DATA_FREE}",
            policies=SEARCHED,
            settings={"synthesis.method": method},
        )
        for data in ("cifar10", "cifar100")
        for method in INVERSIONS
    )


def _table7() -> tuple[Part, ...]:
    pairs = [(teacher, student) for teacher in ("resnet18", "shufflenetv2") for student in ("resnet18", "shufflenetv2")]
    return tuple(
        Part(
            label=f"{teacher} {student}",
            scenario="tiny-imagenet",
            policies=SEARCHED,
            settings={"teacher": teacher, "student": student},
        )
        for teacher, student in pairs
    )


def _fig1() -> tuple[Part, ...]:
    """Every student alone and distilled; the teacher's network takes one epoch as a student, to time its inference."""
    students = [
        Part(
            label=student,
            scenario="cifar100",
            policies=("student", *SEARCHED) if student == "mobilenetv2" else ("student", "stochastic"),
            settings={"student": student},
        )
        for student in ("mobilenetv2", "shufflenetv2")
    ]
    timed = {"student": "resnet18", "recipe.epochs": 1}
    teacher = Part(label="resnet18 timed", scenario="cifar100", policies=("student",), settings=timed)
    return (*students, teacher)


STUDIES: dict[str, PaperStudy] = {
    "table1": PaperStudy(
        title="teacher, student alone, tuned and stochastic τ",
        parts=tuple(Part(label=name, scenario=name, policies=("student", *SEARCHED)) for name in IMAGES),
    ),
    "table4": PaperStudy(title="losses × data sets", parts=_table4(*IMAGES, "voc")),
    "table4-images": PaperStudy(title="Table 4 without VOC", parts=_table4(*IMAGES)),
    "table4-voc": PaperStudy(title="Table 4 on VOC alone, by detectors", parts=_table4("voc")),
    "table5": PaperStudy(
        title="precision, recall, specificity, κ, prevalence and F1 of teacher, tuned and stochastic τ",
        parts=(Part(label="cifar10", scenario="cifar10", policies=SEARCHED),),
    ),
    "table6": PaperStudy(title="data-free distillation: CMI and DeepInversion", parts=_table6()),
    "table7": PaperStudy(title="strong and weak teachers × strong and weak students", parts=_table7()),
    "table8": PaperStudy(
        title="quantization beside distillation, and both together",
        parts=(
            Part(label="cifar10", scenario="cifar10", policies=("student", *SEARCHED)),
            Part(
                label="cifar10 quantized",
                scenario="cifar10",
                policies=("student", "stochastic"),
                settings={"quantization.bits": 8},
            ),
        ),
    ),
    "fig1": PaperStudy(title="inference of teacher and students; accuracy against training CO2e", parts=_fig1()),
    "fig3a": PaperStudy(
        title="accuracy by fixed τ",
        parts=(Part(label="tiny-imagenet", scenario="tiny-imagenet", policies=("grid",)),),
    ),
    "fig3b": PaperStudy(
        title="accuracy by batch size",
        parts=tuple(
            Part(
                label=f"batch {size}",
                scenario="cifar10",
                policies=("fixed", "stochastic"),
                settings={"recipe.batch_size": size},
            )
            for size in BATCH_SIZES
        ),
    ),
    "fig4": PaperStudy(
        title="logits, Grad-CAM, confusion matrices and calibration of teacher and students",
        parts=(Part(label="cifar10", scenario="cifar10", policies=("student", *SEARCHED)),),
    ),
}


def paper_study(name: str) -> PaperStudy:
    """The study of this name. Raises InputError."""
    if name not in STUDIES:
        raise unknown("study", name, STUDIES)
    return STUDIES[name]
