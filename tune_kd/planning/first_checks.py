"""What a plan checks of its input without torch and Ray: names, numbers, files. It is told at once.

The plan (:mod:`tune_kd.planning.plan`) begins with the same checks, and goes on with those that need a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from search_spaces import Space
from tune_kd.budget.amount import Budget, parse_budget
from tune_kd.budget.target_track import check_target
from tune_kd.config.policy_names import check_name
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.config.spaces import make_space
from tune_kd.data import NAMES
from tune_kd.data.misread import check_whole
from tune_kd.errors import InputError, unknown
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan_options import Planning

TRACKS = ("recipe", "budget", "target")
WITHOUT_KL = ("ce", "cmc", "cmc-tau")
"""The losses that ``reduction`` does not enter."""


def check_at_once(policies: Sequence[str], planning: Planning, deciding: Deciding) -> None:
    """All that can be said before torch is imported, which takes seconds. Raises InputError."""
    for name in policies:
        check_name(name)
    first_checks(policies, planning, deciding)


def first_checks(policies: Sequence[str], planning: Planning, deciding: Deciding) -> tuple[Scenario, Space, Budget]:
    """Scenario, space and budget, as far as they can be settled without a network. Raises InputError."""
    _check_search(planning)
    if not policies:
        raise InputError("no policy was named; for example --policies grid,stochastic")
    deciding.check(planning.replicates)
    deciding.looks(policies)
    scenario = load_scenario(planning.scenario or ("images" if planning.data is not None else "digits"))
    scenario = scenario.changed(planning.fields())
    if scenario.task == "classification":
        check_data(scenario, NAMES)
    if scenario.loss in WITHOUT_KL and "reduction" in planning.fields():
        raise InputError(
            f"loss {scenario.loss!r} has no KL term, so reduction must be left out, got {scenario.reduction!r}"
        )
    space, budget = make_space(planning.space), parse_budget(planning.budget)
    if scenario.loss == "ce" and "alpha" in space.dimensions:
        raise InputError(f"space {space.name!r} searches α, which loss 'ce' does not have; use --space tau")
    return scenario, space, budget


def check_data(scenario: Scenario, names: Sequence[str]) -> None:
    """See that its data are one of the ``names``, or a folder that is no split of one. Raises InputError."""
    if scenario.data in names:
        return
    if not Path(scenario.data).is_dir():
        raise InputError(
            f"there is no data folder {scenario.data!r}; give one with --data DIR, or one of these names as data: "
            f"{', '.join(names)}"
        )
    check_whole(Path(scenario.data))


def _check_search(planning: Planning) -> None:
    """The track, replicates and seed. Raises InputError."""
    if planning.track not in TRACKS:
        raise unknown("track", planning.track, TRACKS)
    check_target(planning.track, planning.target_accuracy)
    if planning.replicates < 1:
        raise InputError(f"replicates must be ≥ 1, got {planning.replicates}")
    if planning.seed < 0:
        raise InputError(f"the seed must be ≥ 0, got {planning.seed}")
