"""What is allowed, yet should be known before it is run: a line each."""

from __future__ import annotations

from collections.abc import Iterable

from tune_kd.config.recipes import base_and_changed
from tune_kd.planning.plan import Study
from tune_kd.tasks.catalogue import task_of

WITHOUT_TAU = {
    "cmc": "its form with τ is --loss cmc-tau",
    "dml": "its form with τ is --loss dml-tau",
    "ce": "policy student trains so without a teacher",
}
"""The losses that τ does not enter, and what to use instead."""

CODE = {"classification": "its code uses SGD", "detection": "the code that it names uses 0.000125"}
"""By task, what the paper's code does in place of its text's Adam at learning rate 0.1."""

IMPLAUSIBLE_ADAM_LR = 0.03  # thirty times Adam's usual 0.001


def notices(parts: Iterable[Study]) -> list[str]:
    """What would surprise a user in the results of these studies, each said once."""
    said = (text for study in parts for check in CHECKS for text in check(study))
    return list(dict.fromkeys(said))


def _unused_tau(study: Study) -> list[str]:
    loss = study.scenario.loss
    if loss not in WITHOUT_TAU or all(plan.policy.name == "student" for plan in study.runs):
        return []
    return [f"loss {loss} does not use τ: whatever a policy chooses, it trains alike; {WITHOUT_TAU[loss]}"]


def _implausible_adam(study: Study) -> list[str]:
    recipe = study.scenario.recipe
    name, changed = base_and_changed(study.scenario.recipe_name)
    if recipe.optimizer != "adam" or recipe.lr < IMPLAUSIBLE_ADAM_LR:
        return []
    texts_own = name == "paper" and "recipe.lr" not in changed
    code = CODE.get(study.scenario.task)
    source = f", which is what the paper's text says; {code}, --recipe authors" if texts_own and code else ""
    return [f"Adam at learning rate {recipe.lr:g} is implausible{source}: expect poor {task_of(study.scenario).metric}"]


def _uncompiled(study: Study) -> list[str]:
    if not study.scenario.compile:
        return []
    labels = {plan.label: None for plan in study.runs if plan.temperature().held_out}
    why = "looks ahead through its student's gradient, which cannot be compiled: its student trains uncompiled"
    return [f"policy {label} {why}" for label in labels]


CHECKS = (_unused_tau, _implausible_adam, _uncompiled)
