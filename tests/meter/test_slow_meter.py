"""A trial's meter that answers late: what it did not say in time it says at the next mark."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import GetTimeoutError, RayActorError

from tune_kd.meter import client
from tune_kd.meter.client import TrialMeter
from tune_kd.meter.energy import Energy
from tune_kd.meter.node import TrialEnergy


class Meter:
    """Stands for Ray and its meter actor: every answer in turn, or the error instead of one."""

    def __init__(self, *answers: float | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "n")

    def get_actor(self, name: str) -> Any:
        answer = SimpleNamespace(remote=lambda *_: "answer")
        return SimpleNamespace(register=SimpleNamespace(remote=lambda *_: "registered"), mark=answer, unregister=answer)

    def get(self, reference: str, timeout: float) -> Any:
        if reference == "registered":
            return None
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [TrialEnergy(energy=joules(answer), co_tenants=0)]


def joules(cpu_j: float) -> Energy:
    return Energy(cpu_j=cpu_j, method="model")


def trial_on(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> TrialMeter:
    monkeypatch.setattr(client, "ray", meter)
    return TrialMeter("t", cpus=1)


LATE = GetTimeoutError("Get timed out: some object(s) not ready.")


def test_a_late_answer_is_unmeasured_and_the_next_mark_has_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trial_on(Meter(1.0, LATE, LATE, 4.0, LATE, LATE, 7.0), monkeypatch)
    marks = [(trial.mark(), trial.failure is None) for _ in range(6)]
    measured, unmeasured = True, (Energy(), False)
    assert marks == [
        (joules(1.0), measured),
        unmeasured,
        unmeasured,
        (joules(4.0), measured),
        unmeasured,
        unmeasured,
    ]
    assert trial.failure is not None
    assert "timed out" in trial.failure
    assert trial.close() == trial.mark() == joules(7.0)


def test_a_meter_that_never_answers_holds_a_trial_up_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(LATE, LATE, LATE, 1.0)
    trial = trial_on(meter, monkeypatch)
    assert {trial.mark() for _ in range(10)} == {trial.close()} == {Energy()}
    assert meter.asked == 3


def test_a_meter_that_is_gone_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(1.0, RayActorError(), 2.0)
    trial = trial_on(meter, monkeypatch)
    assert [trial.mark(), trial.mark(), trial.close()] == [joules(1.0), Energy(), Energy()]
    assert meter.asked == 2
    assert trial.failure
