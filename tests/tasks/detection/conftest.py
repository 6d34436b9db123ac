"""A small real problem of detection, made once: some of the digit scenes, and a teacher of one epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from policies import Policy
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data.detection import DetectionData
from tune_kd.meter.carbon import Carbon
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher, train_teacher
from tune_kd.training.teacher_outputs import TeacherOutputs
from tune_kd.training.trial import Place, Trial, TrialSpec

CPU = torch.device("cpu")
MakeDetectionTrial = Callable[..., Trial]


@pytest.fixture(scope="session")
def scenes_settings() -> dict[str, Any]:
    """What cuts the embedded scenario down to 44 scenes to train on and two epochs of three batches."""
    small = {"train_limit": 52, "test_limit": 12, "teacher_recipe.epochs": 1, "recipe.epochs": 2}
    return {**small, "recipe.batch_size": 16}


@pytest.fixture(scope="session")
def scenes_scenario(scenes_settings: dict[str, Any]) -> Scenario:
    """The embedded scenario, cut down."""
    return load_scenario("digit-scenes").changed(scenes_settings)


@pytest.fixture(scope="session")
def scenes(scenes_scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> DetectionData:
    data: DetectionData = task_of(scenes_scenario).load(scenes_scenario, tmp_path_factory.mktemp("cache"))
    return data


@pytest.fixture(scope="session")
def scenes_teacher(scenes_scenario: Scenario, scenes: DetectionData, meters: Any) -> Teacher:
    return train_teacher(scenes_scenario, scenes, device=CPU, meter=meters())


@pytest.fixture(scope="session")
def scenes_counted(scenes_scenario: Scenario, scenes: DetectionData) -> NetworkFlops:
    return NetworkFlops.count(scenes_scenario, scenes)


@pytest.fixture
def make_detection_trial(
    scenes_scenario: Scenario,
    scenes: DetectionData,
    scenes_teacher: Teacher,
    scenes_counted: NetworkFlops,
    meters: Any,
) -> MakeDetectionTrial:
    """make_detection_trial("ctkd", settings={"loss": "cmc"}): a trial that has not begun."""

    def make(
        policy: str | Policy = "fixed",
        *,
        settings: Mapping[str, Any] | None = None,
        checkpoint: Path | None = None,
        shared_outputs: TeacherOutputs | None = None,
    ) -> Trial:
        chosen = make_policy(policy) if isinstance(policy, str) else policy
        what = scenes_scenario.changed(settings or {})
        spec = TrialSpec(
            run_id="run",
            trial_id="run-0000",
            index=0,
            replicate_seed=1,
            scenario=what,
            policy=chosen,
            params={"tau": 4.0, **chosen.restart_params(SPACES["tau"])},
        )
        carbon = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.5)
        place = Place(device=CPU, meter=meters(), carbon=carbon, node_id="node", checkpoint=checkpoint)
        data = task_of(what).for_trials(scenes)
        return Trial(spec, data, scenes_teacher.network(what, scenes), place, scenes_counted, shared_outputs)

    return make
