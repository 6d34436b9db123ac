"""What travels to Ray's workers arrives as it was, and our finder of packages is there before it is unpickled."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from policies.grid import Grid
from tune_kd.cluster.code import this_code
from tune_kd.cluster.shared import Shared
from tune_kd.config.catalogue import policy_record
from tune_kd.config.scenario import Scenario, load_scenario, scenario_names, to_record
from tune_kd.meter.carbon import carbon
from tune_kd.own_packages import PACKAGES
from tune_kd.storage.cache import Cache


class Recording(pickle.Unpickler):
    """Unpickles, and notes the modules that it imports from, in their order."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))
        self.modules: list[str] = []

    def find_class(self, module: str, name: str) -> Any:
        self.modules.append(module)
        return super().find_class(module, name)


def shared(scenario: Scenario) -> Shared:
    """What the trials of a run share, without Ray's references."""
    nothing: Any = None
    return Shared(
        run_id="run",
        scenario=scenario,
        policy_json=policy_record(Grid()),
        replicate_seed=1,
        data=nothing,
        tested_on=nothing,
        teacher=nothing,
        counted=nothing,
        cache=Cache(Path("cache")),
        pool=None,
        outputs=None,
        marker="marker",
        code=this_code(),
        nodes=frozenset(["node"]),
        carbon=carbon(),
        cpus=1,
        gpus=0,
    )


@pytest.mark.parametrize("name", scenario_names())
def test_every_scenario_arrives_as_it_was(name: str) -> None:
    sent = shared(load_scenario(name))
    arrived = Recording(cloudpickle.dumps(sent)).load()
    assert arrived == sent
    assert to_record(arrived.scenario) == to_record(sent.scenario)


def test_tune_kd_is_imported_before_anything_of_ours_with_a_generic_name() -> None:
    unpickler = Recording(cloudpickle.dumps(shared(load_scenario("digits"))))
    unpickler.load()
    assert unpickler.modules[0] == "tune_kd.cluster.shared"
    assert not [module for module in unpickler.modules if module.partition(".")[0] in PACKAGES]
