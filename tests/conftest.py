"""A small real problem, made once a session: some of the embedded digits, and a teacher of two epochs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

import tune_kd  # noqa: F401  (first: it sees to it that `policies` is the package and not the folder of its tests)

# isort: split
import s3_server

from policies import Policy
from search_spaces import SPACES
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data import ImageData, Loading, load
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import Pace
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.teacher import Teacher, train_teacher
from tune_kd.training.trial import Place, Trial, TrialSpec

torch.set_num_threads(1)
# Tables are as wide as whoever runs the tests in parallel says, unless nobody does.
os.environ.pop("COLUMNS", None)
# Ray's workers have the lowest priority by default: beside other work on the machine they would starve.
os.environ.update({"RAY_worker_niceness": "0"})
# No deadline: how long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tune-kd", deadline=None)
hypothesis.settings.load_profile("tune-kd")

CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.5)
MakeTrial = Callable[..., Trial]


class RecordedMeter:
    """Replays recorded marks; by default those of a machine that cannot measure."""

    def __init__(self, marks: Iterable[Energy] = itertools.repeat(Energy()), co_tenants: int | None = None) -> None:
        self._marks, self.co_tenants, self.pace = iter(marks), co_tenants, Pace()

    def mark(self) -> Energy:
        return next(self._marks)


@pytest.fixture(scope="session", autouse=True)
def meters_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Studies of tests that run at the same time in another process are not seen by the meters of these."""
    os.environ["TUNE_KD_METERS"] = str(tmp_path_factory.mktemp("meters"))


@pytest.fixture(scope="module")
def s3() -> Iterator[s3_server.FlakyServer]:
    """A real S3 server, its address and credentials in the environment."""
    with s3_server.serving() as server:
        yield server


@pytest.fixture(scope="session")
def meters() -> Callable[..., Meter]:
    """meters(marks): a meter that says what was recorded; meters(): one that cannot measure."""
    return RecordedMeter


@pytest.fixture
def meter(meters: Callable[..., Meter]) -> Callable[..., Meter]:
    """The same for one test."""
    return meters


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """The embedded scenario, cut down to a tenth of a second a trial: 340 images, 3 epochs, drops after 1 and 2."""
    small = {"train_limit": 400, "teacher_recipe.epochs": 2, "recipe.epochs": 3}
    return load_scenario("digits").changed(small).changed({"recipe.milestones": [1, 2]})


@pytest.fixture(scope="session")
def digits(scenario: Scenario) -> ImageData:
    """The scenario's images: 340 to train on, 60 to validate, 270 to test."""
    wanted = Loading(
        source=scenario.data,
        image_size=scenario.image_size,
        validation_fraction=scenario.validation_fraction,
        split_seed=scenario.split_seed,
        train_limit=scenario.train_limit,
    )
    return load(wanted)


@pytest.fixture(scope="session")
def teacher(scenario: Scenario, digits: ImageData) -> Teacher:
    return train_teacher(scenario, digits, device=CPU, meter=RecordedMeter())


@pytest.fixture(scope="session")
def counted(scenario: Scenario, digits: ImageData) -> NetworkFlops:
    return NetworkFlops.count(scenario, digits)


@pytest.fixture
def make_trial(scenario: Scenario, digits: ImageData, teacher: Teacher, counted: NetworkFlops) -> MakeTrial:
    """make_trial("annealing:shape=cosine", index=2, settings={"alpha": 0.5}): a trial that has not begun."""

    def make(
        policy: str | Policy = "grid",
        *,
        params: Mapping[str, float] | None = None,
        index: int = 0,
        replicate_seed: int = 1,
        settings: Mapping[str, Any] | None = None,
        data: ImageData = digits,
        checkpoint: Path | None = None,
        marks: Iterable[Energy] | None = None,
        flops: NetworkFlops | None = counted,
        **beside: Any,
    ) -> Trial:
        chosen = make_policy(policy) if isinstance(policy, str) else policy
        spec = TrialSpec(
            run_id="run",
            trial_id=f"run-{index:04d}",
            index=index,
            replicate_seed=replicate_seed,
            scenario=scenario.changed(settings or {}),
            policy=chosen,
            params={"tau": 4.0, **chosen.restart_params(SPACES["tau"]), **(params or {})},
        )
        recorded = RecordedMeter() if marks is None else RecordedMeter(marks, co_tenants=3)
        place = Place(device=CPU, meter=recorded, carbon=CARBON, node_id="node", checkpoint=checkpoint)
        return Trial(spec, data, teacher.network(spec.scenario, data), place, flops, **beside)

    return make
