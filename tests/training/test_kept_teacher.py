"""A teacher is trained once for a cache, however many commands need it, also at the same time."""

from __future__ import annotations

import errno
import fcntl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.errors import RunFailed
from tune_kd.storage.cache import Cache
from tune_kd.storage.lease import Lease
from tune_kd.training.teacher import Teacher, kept_or_trained, save_teacher, teacher_id, teacher_name


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def never() -> Teacher:
    raise AssertionError("the teacher was trained again")


def same(one: Teacher, other: Teacher) -> bool:
    weights = all(torch.equal(one.weights[name], tensor) for name, tensor in other.weights.items())
    return weights and {**vars(one), "weights": 0} == {**vars(other), "weights": 0}


def test_the_second_command_finds_the_teacher_that_the_first_has_trained(
    scenario: Scenario, digits: ImageData, teacher: Teacher, cache: Cache
) -> None:
    said: list[str] = []
    first = kept_or_trained(scenario, digits, cache, lambda: teacher, said.append)
    assert said == [f"training the teacher, {scenario.teacher}, 2 epochs"]
    assert first is teacher
    assert same(kept_or_trained(scenario, digits, cache, never, said.append), teacher)
    assert len(said) == 1, "nothing is said of a teacher that is there"
    assert [path.name for path in (cache.folder / "teachers").iterdir()] == [f"{teacher.teacher_id}.pt"]


def test_a_command_waits_for_another_that_is_training_the_same_teacher(
    scenario: Scenario, digits: ImageData, teacher: Teacher, cache: Cache
) -> None:
    identity, waiting, said = teacher_id(scenario, digits), threading.Event(), list[str]()

    def stage(text: str) -> None:
        said.append(text)
        waiting.set()

    with Lease.wait(cache.folder / f".teacher-{identity}.lock") as other, ThreadPoolExecutor(1) as pool:
        second = pool.submit(kept_or_trained, scenario, digits, cache, never, stage)
        assert waiting.wait(timeout=300)
        save_teacher(cache.folder / teacher_name(identity), teacher)
        other.release(remove=True)
        assert same(second.result(timeout=300), teacher)
    assert said == ["waiting for another command, which is training the teacher"]


def test_after_a_training_that_failed_the_next_command_trains(
    scenario: Scenario, digits: ImageData, teacher: Teacher, cache: Cache
) -> None:
    def diverge() -> Teacher:
        raise RunFailed("it diverged")

    with pytest.raises(RunFailed, match="it diverged"):
        kept_or_trained(scenario, digits, cache, diverge, print)
    assert kept_or_trained(scenario, digits, cache, lambda: teacher, print) is teacher


def test_where_nothing_can_be_locked_the_teacher_is_trained_and_kept_all_the_same(
    scenario: Scenario, digits: ImageData, teacher: Teacher, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_flock)
    assert kept_or_trained(scenario, digits, cache, lambda: teacher, print) is teacher
    assert same(kept_or_trained(scenario, digits, cache, never, print), teacher)
