"""Whether a study of the paper is done as its scale has it, and what was changed otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tune_kd.config.recipes import base_and_changed
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.planning.paper_catalogue import STUDIES, Part
from tune_kd.planning.paper_scales import REPLICATES, own_settings
from tune_kd.planning.plan import Study
from tune_kd.store.ids import base_id, slug
from tune_kd.tasks.catalogue import TASKS

LEADING = ("name", "data", "recipe_name", "loss", "recipe.epochs", "teacher_recipe.epochs")
"""Fields that others follow: milestones the epochs, α the loss, a recipe's values its name."""

UNSAID = ("name", "description", "recipe_name")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """The scale, what was changed of it (``recipe.epochs=1``), and whether that is what the paper did.

    Data from a folder are said, but who knows whether they are the paper's: they alone are no other protocol.
    """

    scale: str
    changed: tuple[str, ...]
    papers: bool

    def __str__(self) -> str:
        changed = f", changed: {', '.join(self.changed)}" if self.changed else ""
        return f"{self.scale} scale{changed}{'' if self.papers else ', which is not the paper’s protocol'}"


def protocol(name: str, scale: str, scenarios: Mapping[str, Scenario], replicates: int) -> Protocol:
    """Of the paper's study ``name`` with these scenarios, by the ids of its parts."""
    found: dict[str, Any] = {}
    for study_id, scenario in scenarios.items():
        found |= {_word(key, value): (key, value) for key, value in _changes(_part(name, study_id), scale, scenario)}
    if replicates != REPLICATES[scale]:
        found[f"replicates={replicates}"] = ("replicates", replicates)
    names = {name for task in TASKS.values() for name in task.data_names}
    papers = scale == "full" and all(key == "data" and value not in names for key, value in found.values())
    return Protocol(scale=scale, changed=tuple(found), papers=papers)


def planned_protocol(name: str, scale: str, parts: Sequence[Study]) -> Protocol:
    """Of a study that is planned."""
    replicates = 1 + max(plan.replicate for part in parts for plan in part.runs)
    return protocol(name, scale, {part.study_id: part.scenario for part in parts}, replicates)


def _part(name: str, study_id: str) -> Part:
    """Which part of the study has this id: the only one, or the one whose label ends it."""
    parts = STUDIES[name].parts
    label = study_id.removeprefix(f"{base_id(study_id)}-")
    return next((part for part in parts if slug(part.label) == label), parts[0])


def _changes(part: Part, scale: str, scenario: Scenario) -> list[tuple[str, Any]]:
    """The fields, and what they are, that the part does not have at this scale; not those that follow others."""
    preset, own = load_scenario(part.scenario), own_settings(part, scale)
    usual, ours = _by_name(preset.changed(own)), _by_name(scenario)
    led = {key: ours[key] for key in LEADING if ours[key] != usual[key]}
    expected = _by_name(preset.changed({**own, **led}))
    changed = {key: value for key, value in ours.items() if key not in UNSAID and value != expected.get(key)}
    return [(key, value) for key, value in {**led, **changed}.items() if key != "name"]


def _by_name(scenario: Scenario) -> dict[str, Any]:
    """Its settled fields, with the recipe's name alone and not what was set on top of it."""
    return {**scenario.settled().by_name(), "recipe_name": base_and_changed(scenario.recipe_name)[0]}


def _word(key: str, value: Any) -> str:
    return f"{key}={list(value) if isinstance(value, tuple) else value}"
