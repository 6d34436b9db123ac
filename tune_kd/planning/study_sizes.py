"""How much the paper's studies train: trainings, epochs and FLOPs. Nothing is planned, and PyTorch is not loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from search_spaces import SPACES
from tune_kd.config.scenario import Scenario
from tune_kd.planning.network_flops import network_flops
from tune_kd.planning.paper_catalogue import DATA_SETS, paper_study
from tune_kd.planning.paper_scales import REPLICATES, scenario_of

ALONE = "student"  # the policy without a teacher


@dataclass(frozen=True, kw_only=True)
class StudySize:
    """What a study trains at a scale, all runs together. Teachers, their tests and synthesised images come on top.

    ``flops`` are those of the students, forward, backward and in validation, and of the teacher's answers; None where
    a network's are not known.
    """

    trainings: int
    epochs: int
    flops: int | None


def study_size(name: str, scale: str) -> StudySize:
    """Of the paper's study ``name`` as its scale has it. Raises InputError."""
    rows = list(_runs(name, scale))
    flops = [row.flops for row in rows]
    return StudySize(
        trainings=REPLICATES[scale] * sum(row.trainings for row in rows),
        epochs=REPLICATES[scale] * sum(row.epochs for row in rows),
        flops=None if None in flops else REPLICATES[scale] * sum(each for each in flops if each is not None),
    )


def _runs(name: str, scale: str) -> Iterator[StudySize]:
    """One replicate: a row for each part and policy."""
    for part in paper_study(name).parts:
        scenario = scenario_of(part, scale)
        for policy in part.policies:
            count = trainings(policy)
            flops = run_flops(scenario, count, teacher=policy != ALONE)
            yield StudySize(trainings=count, epochs=count * scenario.trial_epochs, flops=flops)


def trainings(policy: str) -> int:
    """By the recipe of a policy in the paper's space: one for each τ of the grid, one of any other."""
    dimensions = SPACES["tau"].dimensions.values()
    return math.prod(len(dimension.levels()) for dimension in dimensions) if policy == "grid" else 1


def run_flops(scenario: Scenario, count: int, *, teacher: bool) -> int | None:
    """FLOPs of one run of so many trainings, with a ``teacher`` or without; None where they are not known.

    Trainings of one run share the teacher's answers where their task can.
    """
    student, taught_by = (network_flops(scenario, network) for network in (scenario.student, scenario.teacher))
    if student is None or taught_by is None:
        return None
    train, validation = images(scenario)
    each = train * (student.forward + student.backward) + validation * student.forward
    asked = train * taught_by.forward if teacher else 0
    asking = 1 if student.shares_teacher else count
    return scenario.trial_epochs * (count * each + asking * asked)


def images(scenario: Scenario) -> tuple[int, int]:
    """How many images an epoch trains on and validates on, on the data set of the scenario's name."""
    classes, there = DATA_SETS[scenario.data]
    there = min(there, scenario.train_limit or there)
    least = classes if scenario.task == "classification" else 1  # one image of each class validates
    validation = max(round(scenario.validation_fraction * there), least)
    made = scenario.synthesis
    if made is None:
        return there - validation, validation
    return made.training_images, made.validation_images or validation
