"""What the list says of the paper's studies is what their plans would train, and what the meter would count."""

from __future__ import annotations

import numpy as np
import pytest

from tune_kd.config.scenario import load_scenario
from tune_kd.config.spaces import make_space
from tune_kd.data.detection import split as split_detections
from tune_kd.data.listing import EncodedImage, Listing
from tune_kd.data.split import split
from tune_kd.meter.flops import ModelFlops
from tune_kd.planning import network_flops as networks
from tune_kd.planning.forecast import forecast
from tune_kd.planning.paper_catalogue import DATA_SETS, STUDIES
from tune_kd.planning.paper_scales import SCALES, scenario_of
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.planning.plan import RunPlan
from tune_kd.planning.study_sizes import images, study_size
from tune_kd.planning.teacher_sharing import pays
from tune_kd.training.costs import Costs, NetworkFlops, Passed
from tune_kd.training.step import ever_asks_teacher


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_trainings_and_epochs_are_those_of_the_plan(name: str, scale: str) -> None:
    found, trainings, epochs = study_size(name, scale), 0.0, 0.0
    for part in plan_parts(name, scale=scale):
        for row in forecast(part, None):
            assert row.trials is not None
            trainings += row.runs * row.trials
            epochs += row.runs * row.trials * part.scenario.trial_epochs
    assert (found.trainings, found.epochs) == (trainings, epochs)


def counted(plan: RunPlan) -> int:
    """FLOPs of a run, by the counter that trials have."""
    scenario, trials = plan.scenario, plan.trials_at_most
    rows = [networks.network_flops(scenario, name) for name in (scenario.student, scenario.teacher)]
    student, teacher = (ModelFlops(forward=row.forward, backward=row.backward, uncounted=()) for row in rows if row)
    train, validation = images(scenario)
    asks, shares = ever_asks_teacher(plan.temperature(), scenario, 1), pays(plan)
    trial = Costs(NetworkFlops(student=student, teacher=teacher))
    for _ in range(scenario.trial_epochs):
        trial.add(Passed(trained=train, asked=train if asks and not shares else 0, validated=validation))
    once = scenario.trial_epochs * train * teacher.forward if asks and shares else 0
    assert trials is not None
    return trials * int(trial.columns()["flops_executed"]) + once


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_flops_are_those_that_the_trials_would_count(name: str, scale: str) -> None:
    parts = plan_parts(name, scale=scale, replicates=1)
    replicates = len({plan.replicate for plan in plan_parts(name, scale=scale)[0].runs})
    assert study_size(name, scale).flops == replicates * sum(counted(plan) for part in parts for plan in part.runs)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("data", DATA_SETS)
def test_an_epoch_has_the_images_that_the_split_leaves(data: str, scale: str) -> None:
    parts = [part for study in STUDIES.values() for part in study.parts if part.data == data]
    scenario = next(one for one in (scenario_of(part, scale) for part in parts) if one.synthesis is None)
    size = DATA_SETS[data]
    there = min(size.images, scenario.train_limit or size.images)
    fraction = scenario.validation_fraction
    if scenario.task == "detection":
        rest, held = split_detections.split(there, fraction=fraction, seed=(0, 0), part="validation")
    else:
        pool = Listing(
            classes=tuple(map(str, range(size.classes))),
            images=[EncodedImage("", b"")] * there,
            labels=np.arange(there) % size.classes,
        )
        rest, held = split(pool, fraction=fraction, seed=(0, 0), part="validation")
    assert images(scenario) == (len(rest), len(held))


@pytest.mark.slow
def test_the_table_of_networks_is_what_counting_gives() -> None:
    table = networks.table(networks.counted())
    assert table == (networks.resources.files("tune_kd.planning") / networks.TABLE).read_text("utf-8")


@pytest.mark.parametrize(("fraction", "each", "grid"), [(0.1, 5.791, 110.0), (0.0002, 6.433, 128.7)])
def test_the_papers_count_of_flops_is_reached_but_for_the_images_that_validate(
    fraction: float, each: float, grid: float
) -> None:
    """Forward passes of teacher and student; docs/studies.md has these figures, the paper 6.42 and 128.30."""
    scenario = load_scenario("cifar10").changed({"validation_fraction": fraction})
    found = [networks.network_flops(scenario, name) for name in (scenario.student, scenario.teacher)]
    forward = sum(row.forward for row in found if row is not None)
    training = scenario.recipe.epochs * images(scenario)[0] * forward / 1e15
    space = make_space("tau" if fraction == 0.1 else "tau-from-1")
    assert training == pytest.approx(each, abs=5e-4)
    assert training * len(space.dimensions["tau"].levels()) == pytest.approx(grid, abs=0.05)
