"""Which runs may train their trials side by side, several in one process."""

from __future__ import annotations

from tune_kd.planning.plan import RunPlan
from tune_kd.tasks.catalogue import task_of

MOST = 20
"""So many trials at the most are trained side by side where nobody says how many."""


def alone_because(plan: RunPlan) -> str | None:
    """Why the trials of a run are trained one at a time, whatever is asked for; None where they need not be.

    A word about the policy or the scenario, as a notice puts it.
    """
    policy, scenario = plan.policy, plan.scenario
    reasons = {
        f"{plan.label} stops trials early": policy.scheduler() is not None,
        f"{plan.label} chooses trials by the results of others": policy.adapts,
        f"{plan.label} holds images out": bool(plan.temperature().held_out),
        "track target ends with one trial that is good enough": plan.track == "target",
        "students are quantized": scenario.quantization is not None,
        "images are synthesised": scenario.synthesis is not None,
        "networks are compiled": scenario.compile,
        f"the task is {scenario.task}": task_of(scenario).anchors,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def may_be_several(plan: RunPlan) -> bool:
    """May trials of this run be trained side by side: are there several, and none that must be alone?"""
    return plan.trials_at_most != 1 and alone_because(plan) is None
