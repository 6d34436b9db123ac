"""The Ray edge: one meter a node, trials that find it, and trials that outlive it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tune_kd.meter.energy import Energy

pytestmark = pytest.mark.slow

J_PER_CPU_S = 2.0
TICKS_S = 0.02  # the kernel tells another process's user and system time in whole ticks of 10 ms
HANGS_S = 120.0  # no answer by then: not a busy machine


@dataclass(frozen=True)
class Spent:
    """A trial's account, and the CPU seconds of its process by the kernel: ``least`` within its marks, ``most`` around.

    Another process decides when an account begins, so no test knows before how much is charged.
    """

    begin: Energy
    mark: Energy
    final: Energy
    least_s: float
    most_s: float
    failure: str | None

    @property
    def cpu_j(self) -> float:
        """The joules between the first mark and the end."""
        assert self.final.cpu_j is not None
        assert self.begin.cpu_j is not None
        return self.final.cpu_j - self.begin.cpu_j


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(address="local", num_cpus=2, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    yield
    ray.shutdown()


def test_a_trial_on_a_node_without_a_meter_is_unmeasured_and_says_why(cluster: None) -> None:
    import ray

    from tune_kd.meter.client import TrialMeter

    @ray.remote(num_cpus=1)
    def trial() -> tuple[Energy, Energy, str | None]:
        meter = TrialMeter("alone", cpus=1)
        return meter.mark(), meter.close(), meter.failure

    mark, final, failure = ray.get(trial.remote())
    assert mark == final == Energy()
    assert failure
    assert "meter-" in failure


def test_trials_on_a_node_are_metered_by_one_actor_and_outlive_it(cluster: None) -> None:
    import ray

    from tune_kd.meter.actor import NodeMeters, meter_name
    from tune_kd.meter.client import TrialMeter

    @ray.remote(num_cpus=1)
    class Worker:
        """A reused worker: one trial after the other, and a meter that dies under the last."""

        def trial(self, name: str, cpu_s: float) -> tuple[Energy, Energy, Energy, float, float, str | None]:
            meter = TrialMeter(name, cpus=1, timeout_s=HANGS_S)
            around_s = time.process_time()
            begin = meter.mark()
            within_s = time.process_time()
            while time.process_time() < within_s + cpu_s:
                sum(range(2_000))
            least_s = time.process_time() - within_s
            mark, final = meter.mark(), meter.close()
            return begin, mark, final, least_s, time.process_time() - around_s, meter.failure

        def trial_under_a_dying_meter(self, name: str) -> tuple[Energy, Energy, str | None]:
            meter = TrialMeter(name, cpus=1)
            before = meter.mark()
            actor = ray.get_actor(meter_name(ray.get_runtime_context().get_node_id()))
            ray.kill(actor)
            while meter.failure is None:
                meter.mark()  # killing takes a moment
            return before, meter.mark(), meter.failure

    power = {"cpu_watts": J_PER_CPU_S * (os.cpu_count() or 1), "idle_share": 0.0, "ram_watts_per_gib": 0.0}
    meters = NodeMeters(period_s=0.2, power=power)
    (description,) = meters.descriptions(timeout_s=HANGS_S).values()
    assert description is not None
    assert description["meter_method_cpu"] in ("model", "counter")

    workers = [Worker.remote(), Worker.remote()]  # type: ignore[attr-defined]
    answers = ray.get([worker.trial.remote(f"t{index}", 1.0) for index, worker in enumerate(workers)])
    accounts = [Spent(*answer) for answer in answers]
    for spent in accounts:
        assert spent.failure is None
        assert spent.mark.cpu_j is not None
        assert spent.final.cpu_j >= spent.mark.cpu_j - J_PER_CPU_S * TICKS_S
        if description["meter_method_cpu"] == "model":
            # Less only where the node's clock, in ticks of every CPU, has less than its trials have.
            least_s, most_s = 0.95 * spent.least_s - TICKS_S, spent.most_s + TICKS_S
            assert least_s <= spent.cpu_j / J_PER_CPU_S <= most_s

    while any(node.snapshot is None for node in meters.poll().values()):
        pass  # a poll never waits: the first ones come back before the meter has answered
    (node,) = meters.settle(timeout_s=HANGS_S).values()
    assert node.lost is None
    assert node.snapshot is not None
    assert {name: account.state for name, account in node.trials.items()} == {"t0": "closed", "t1": "closed"}
    assert {name: account.energy for name, account in node.trials.items()} == {
        f"t{index}": spent.final for index, spent in enumerate(accounts)
    }
    totals = node.snapshot.totals
    assert abs(totals.residual_j) <= 1e-9 * totals.total_j
    assert totals.samples > 2

    before, after, failure = ray.get(workers[0].trial_under_a_dying_meter.remote("t2"))
    assert before.total_j is not None
    assert after == Energy()
    assert failure
    (gone,) = meters.settle(timeout_s=HANGS_S).values()
    assert gone.lost
    assert set(gone.trials) >= {"t0", "t1"}  # what was streamed stays known
