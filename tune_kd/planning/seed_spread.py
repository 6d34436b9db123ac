"""How far policies differ from seed to seed in a preset, where that was measured."""

from __future__ import annotations

from tune_kd.config.scenario import Scenario, load_scenario, scenario_names, scenario_sha256

MEASURED = {
    "digits": 0.0239,  # docs/results.md: 16 policies, 20 replicates
    "digit-scenes": 0.054,  # docs/detection.md: 4 trials, 5 seeds, in validation mAP
}
"""By preset, the standard deviation of paired differences in its metric, as a fraction: the middle pair's."""


def measured_spread(scenario: Scenario) -> float | None:
    """The value of ``MEASURED`` for a preset as it stands; None for any other scenario, or with a field changed."""
    name = scenario.name
    if name not in MEASURED or name not in scenario_names():
        return None
    same = scenario_sha256(scenario) == scenario_sha256(load_scenario(name))
    return MEASURED[name] if same else None
