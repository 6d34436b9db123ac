"""The teachers of a study are obtained one at a time, beside the driver's own work."""

from __future__ import annotations

from threading import Event
from typing import Any

import pytest

from tune_kd.errors import RunFailed
from tune_kd.execution import teachers as module
from tune_kd.execution.teachers import Teachers


class Store:
    """Ray's object store, for one process."""

    def put(self, value: Any) -> Any:
        return ("reference", value)


def test_teachers_come_one_at_a_time_in_the_order_in_which_they_were_asked_for() -> None:
    teachers, gates, begun = Teachers(Store()), [Event(), Event()], list[int]()

    def obtain(number: int) -> Any:
        begun.append(number)
        gates[number].wait(300)
        return f"teacher {number}"

    assert teachers.at_work == 0
    teachers.ask("a", lambda: obtain(0))
    teachers.ask("b", lambda: obtain(1))
    teachers.ask("a", lambda: obtain(7))  # asked for already
    assert teachers.at_work == 1
    assert not teachers.there("a")
    gates[0].set()
    assert teachers.get("a") == "teacher 0"
    assert teachers.at_work == 1, "the second takes the room of a job, too"
    gates[1].set()
    assert teachers.get("b") == "teacher 1"
    assert (begun, teachers.at_work) == ([0, 1], 0)
    assert teachers.reference("a") is teachers.reference("a")
    teachers.stop()


def test_a_teacher_that_cannot_be_trained_leaves_the_others_alone() -> None:
    teachers = Teachers(Store())

    def fail() -> Any:
        raise RunFailed("it diverged")

    teachers.ask("a", fail)
    teachers.ask("b", lambda: "teacher")  # type: ignore[arg-type, return-value]
    assert teachers.get("b") == "teacher"
    with pytest.raises(RunFailed, match="it diverged"):
        teachers.get("a")
    teachers.stop()


def test_a_stop_does_not_wait_for_another_command_that_trains_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.01)
    teachers, never, began = Teachers(Store()), Event(), Event()

    def wait() -> Any:
        began.set()
        never.wait(300)

    teachers.ask("a", wait)
    teachers.ask("b", wait)
    assert began.wait(300)
    teachers.stop()
    assert teachers.there("b"), "cancelled"
    assert not teachers.there("a")
    never.set()
