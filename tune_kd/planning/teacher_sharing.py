"""Whether a run's trials share the teacher's outputs, and in which epochs."""

from __future__ import annotations

from tune_kd.planning.plan import RunPlan
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.step import asks_teacher


def pays(plan: RunPlan) -> bool:
    """May the run have several trials that share, as far as is known beforehand?"""
    if not task_of(plan.scenario).shares_teacher:
        return False
    if plan.budget.currency == "epochs" and plan.budget.limit <= plan.scenario.trial_epochs:
        return False
    return plan.trials_at_most is None or plan.trials_at_most > 1


def epochs_to_share(plan: RunPlan, steps: int) -> list[int]:
    """The epochs in which trials ask the teacher about batches that all of them see; 0 is the first."""
    epochs = plan.scenario.trial_epochs
    temperature = plan.temperature()
    if temperature.held_out:
        return []  # each such policy cuts its batches from another part of the training set
    if not task_of(plan.scenario).shares_teacher:
        return []
    needed = []
    for epoch in range(epochs):
        temperature.begin_epoch(epoch, epochs, steps)
        if asks_teacher(temperature, plan.scenario):
            needed.append(epoch)
    return needed
