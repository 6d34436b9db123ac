"""What a study makes of the nodes that there are: no Ray is needed to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pretend_ray import PretendRay

from tune_kd.cluster import machine, shared
from tune_kd.cluster import nodes as cluster
from tune_kd.cluster.code import this_code
from tune_kd.cluster.nodes import Cluster, Look
from tune_kd.cluster.session import Resources
from tune_kd.config.scenario import load_scenario
from tune_kd.errors import InputError
from tune_kd.execution.pool import Pool
from tune_kd.execution.ray_tasks import RayTasks
from tune_kd.execution.tune import PoolListener
from tune_kd.meter import actor
from tune_kd.meter.options import Metering
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import Cache
from tune_kd.tasks.classification import Classification
from tune_kd.training.teacher import Teacher

TEACHER = Teacher(
    teacher_id="t",
    weights={},
    val_score=0.9,
    test_score=0.9,
    flops=None,
    energy_j=None,
    energy_method=None,
    duration_s=1.0,
)
HERE, OTHER, LATE = ("aa" * 28, "bb" * 28, "cc" * 28)  # the driver is on the first
Nodes = Callable[..., PretendRay]


@pytest.fixture
def ray_with(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    """Ray with these nodes, one of which may have ``changed`` code for its workers."""

    def make(alive: dict[str, dict[str, float]], changed: str | None = None) -> PretendRay:
        def look(node_id: str) -> Look:
            code = replace(this_code(), sources="changed") if node_id == changed else this_code()
            return Look(machine=machine.node(node_id), code=code, sees_folder=True, problem=None)

        found = PretendRay(alive, {"look_at_node": look, "make_teacher": lambda _: [1, 2, TEACHER]})
        for module in (cluster, actor, shared):
            monkeypatch.setattr(module, "ray", found)
        return found

    return make


def a_cluster(folder: Path) -> Cluster:
    return Cluster(Resources(cpus=1, gpus=0), cache=Cache(folder), metering=Metering(), progress=Progress())


def test_a_node_may_come_or_go_between_the_start_of_the_meters_and_the_look(ray_with: Nodes, tmp_path: Path) -> None:
    ray = ray_with({HERE: {"CPU": 1.0}, OTHER: {"CPU": 1.0}})
    found = a_cluster(tmp_path)
    del ray.alive[OTHER]
    ray.alive[LATE] = {"CPU": 1.0}
    found.open()
    found.begin("run")
    assert {row["node_id"] for row in found.rows("run")} == {HERE, LATE}
    assert set(found.meters.poll()) == {HERE, LATE}
    found.close()


@pytest.mark.parametrize(
    ("changed", "advice"),
    [(HERE, "start the command in another folder"), (OTHER, "install the same tune-kd on every node")],
)
def test_other_code_is_refused_on_the_drivers_own_node_too(
    changed: str, advice: str, ray_with: Nodes, tmp_path: Path
) -> None:
    ray_with({HERE: {"CPU": 1.0}, OTHER: {"CPU": 1.0}}, changed)
    found = a_cluster(tmp_path)
    with pytest.raises(InputError) as refused:
        found.open()
    found.close()
    assert str(refused.value).startswith(
        f"node {changed[:8]} at 10.0.0.1 runs other code than the driver: sources changed"
    )
    assert str(refused.value).endswith(f"; {advice}")


@pytest.mark.parametrize(
    ("nodes", "busy"),
    [({HERE: {"CPU": 64.0}, OTHER: {"CPU": 8.0, "GPU": 1.0}}, 0), ({HERE: {"CPU": 8.0, "GPU": 1.0}}, 1)],
    ids=["most CPUs where no GPU is", "a job's driver holds a CPU"],
)
def test_the_teacher_has_a_place_wherever_a_trial_has(
    nodes: dict[str, dict[str, float]], busy: int, ray_with: Nodes, tmp_path: Path
) -> None:
    ray = ray_with(nodes)
    ray.busy_cpus = busy
    scenario = load_scenario("digits")
    tasks = RayTasks(ray, Resources(cpus=1, gpus=1))
    heard: list[int] = []
    assert tasks.train_teacher(scenario, Classification().load(scenario, tmp_path), "t", heard.append) == TEACHER
    assert heard == [1, 2]


def test_the_teacher_computes_with_all_cpus_of_its_node(ray_with: Nodes) -> None:
    ray_with({HERE: {"CPU": 8.0, "GPU": 1.0}, OTHER: {"CPU": 64.0}})
    assert shared.cpus_of_this_node() == 8


def test_meters_are_asked_every_period_while_no_event_comes(
    ray_with: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = ray_with({HERE: {"CPU": 1.0}})
    now_s = 100.0
    monkeypatch.setattr(actor, "time", SimpleNamespace(monotonic=lambda: now_s))
    meters = actor.NodeMeters(period_s=1.0)
    monkeypatch.setattr(ray, "get", lambda *_, **__: SimpleNamespace(ended=0, trials={}))
    monkeypatch.setattr(ray, "wait", lambda answers, **_: (answers, []))  # every meter answers at once
    listener = PoolListener(Pool([], lambda: 1), meters.keep_up)  # no event comes
    for _ in range(100):  # Tune's loop turns every tenth of a second while trials train: ten seconds of it
        listener.on_step_begin(iteration=0, trials=[])
        now_s += 0.1
    assert 9 <= ray.asked.count("snapshot") <= 11
