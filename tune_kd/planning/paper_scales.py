"""The two scales of the paper's studies, and the scenarios of their parts. PyTorch is not loaded to read them.

``full`` is the paper's protocol: its networks, all images, 100 epochs, five replicates. ``small`` is for two CPU cores
and minutes: stand-ins for the networks, a stratified part of the images, few epochs, one replicate; it shows that
everything works, not what the paper claims.
"""

from __future__ import annotations

from typing import Any

from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.planning.paper_catalogue import Part, paper_study

SCALES = ("full", "small")
REPLICATES = {"full": 5, "small": 1}

# Small scale. The stand-ins differ, so that no part is left out, and keep who is the stronger one. Batches are a
# quarter, so that an epoch has enough steps.
STAND_INS = {
    "resnet18": "wrn-16-2",
    "mobilenetv2": "wrn-16-1",
    "shufflenetv2": "wrn-10-1",
    "wrn-40-2": "wrn-16-2",
    "wrn-16-1": "wrn-16-1",
    "ssd300-vgg16": "ssd-small",
    "ssdlite-mobilenetv2": "ssdlite-small",
}
SMALL_BATCH = 4
SMALL = {"train_limit": 1000, "test_limit": 1000, "recipe.epochs": 5, "teacher_recipe.epochs": 8}
# Four batches of images, each method a tenth of its official steps or fewer.
SMALL_SYNTHESIS = {
    "synthesis.images": 256,
    "synthesis.batch_size": 64,
    "synthesis.deep_inversion.steps": 100,
    "synthesis.cmi.steps": 20,
    "synthesis.cmi.bank": 256,
    "synthesis.cmi.drawn": 64,
    "synthesis.fast.warmup": 2,
}
SMALL_IMAGES = {"classification": 16, "detection": 96}  # pixels: the largest that the small detectors take


def scenario_of(part: Part, scale: str) -> Scenario:
    """What a part trains at a scale, on the data set of its name."""
    return load_scenario(part.scenario).changed(own_settings(part, scale)).settled()


def own_settings(part: Part, scale: str) -> dict[str, Any]:
    """What a part sets of its preset at a scale."""
    own = dict(part.settings)
    return own if scale == "full" else {**own, **small_settings(load_scenario(part.scenario).changed(own))}


def stand_ins(name: str) -> dict[str, str]:
    """The networks of the paper's study ``name``, and what stands in for each at small scale. Raises InputError."""
    scenarios = [scenario_of(part, "full") for part in paper_study(name).parts]
    networks = (network for scenario in scenarios for network in (scenario.teacher, scenario.student))
    return {network: STAND_INS[network] for network in networks if STAND_INS[network] != network}


def small_settings(scenario: Scenario) -> dict[str, Any]:
    """What makes of a full scenario the small one."""
    recipes = (("recipe", scenario.recipe), ("teacher_recipe", scenario.teacher_recipe))
    return {
        **SMALL,
        "image_size": SMALL_IMAGES[scenario.task],
        **{role: STAND_INS[getattr(scenario, role)] for role in ("teacher", "student")},
        **{f"{name}.batch_size": recipe.batch_size // SMALL_BATCH for name, recipe in recipes},
        "recipe.epochs": min(SMALL["recipe.epochs"], scenario.recipe.epochs),
        **(SMALL_SYNTHESIS if scenario.synthesis is not None else {}),
    }
