"""The Ray edge: one meter a node, trials that find it, and trials that outlive it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.slow


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
    from tune_kd.meter.energy import Energy

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
    from tune_kd.meter.energy import Energy

    @ray.remote(num_cpus=1)
    class Worker:
        """A reused worker: one trial after the other, and a meter that dies under the last."""

        def trial(self, name: str, cpu_s: float) -> tuple[Energy, Energy, str | None]:
            import time

            meter = TrialMeter(name, cpus=1)
            end_s = time.process_time() + cpu_s
            while time.process_time() < end_s:
                sum(range(2_000))
            return meter.mark(), meter.close(), meter.failure

        def trial_under_a_dying_meter(self, name: str) -> tuple[Energy, Energy, str | None]:
            meter = TrialMeter(name, cpus=1)
            before = meter.mark()
            actor = ray.get_actor(meter_name(ray.get_runtime_context().get_node_id()))
            ray.kill(actor)
            while meter.failure is None:
                meter.mark()  # killing takes a moment
            return before, meter.mark(), meter.failure

    power = {"cpu_watts": 2.0 * (os.cpu_count() or 1), "idle_share": 0.0, "ram_watts_per_gib": 0.0}
    meters = NodeMeters(period_s=0.2, power=power)  # 2 J per CPU second
    (description,) = meters.descriptions().values()
    assert description is not None
    assert description["meter_method_cpu"] in ("model", "counter")

    workers = [Worker.remote(), Worker.remote()]  # type: ignore[attr-defined]
    answers = ray.get([worker.trial.remote(f"t{index}", 1.0) for index, worker in enumerate(workers)])
    for mark, final, failure in answers:
        assert failure is None
        assert mark.cpu_j is not None
        assert final.cpu_j >= mark.cpu_j * 0.99
        if description["meter_method_cpu"] == "model":
            assert final.cpu_j == pytest.approx(2.0, rel=0.1)

    while any(node.snapshot is None for node in meters.poll().values()):
        pass  # a poll never waits: the first ones come back before the meter has answered
    (node,) = meters.settle().values()
    assert node.lost is None
    assert node.snapshot is not None
    assert {name: account.state for name, account in node.trials.items()} == {"t0": "closed", "t1": "closed"}
    assert {name: account.energy for name, account in node.trials.items()} == {
        f"t{index}": final for index, (_, final, _) in enumerate(answers)
    }
    totals = node.snapshot.totals
    assert abs(totals.residual_j) <= 1e-9 * totals.total_j
    assert totals.samples > 2

    before, after, failure = ray.get(workers[0].trial_under_a_dying_meter.remote("t2"))
    assert before.total_j is not None
    assert after == Energy()
    assert failure
    (gone,) = meters.settle().values()
    assert gone.lost
    assert set(gone.trials) >= {"t0", "t1"}  # what was streamed stays known
