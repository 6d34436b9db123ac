"""The tasks by name, as a scenario has it."""

from __future__ import annotations

from tune_kd.config.scenario import Scenario
from tune_kd.errors import unknown
from tune_kd.tasks.base import Task
from tune_kd.tasks.classification import Classification
from tune_kd.tasks.detection.detection import Detection

TASKS: dict[str, Task] = {task.name: task for task in (Classification(), Detection())}


def task_of(scenario: Scenario) -> Task:
    """The task that the scenario is about, under its options. Raises InputError for a name that is none."""
    if scenario.task not in TASKS:
        raise unknown("task", scenario.task, TASKS)
    return TASKS[scenario.task].of(scenario)
