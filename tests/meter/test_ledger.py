"""Who pays for an interval: conservation whatever is read, and the rules of the split one by one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_kd.meter.attribution import Beside, GpuInterval, Interval, Methods, Use, split
from tune_kd.meter.node_ledger import NodeLedger, NodeTotals

MODEL = Methods(cpu="model", ram="model")
TRIALS = ("a", "b", "c")
amount = st.floats(0, 1e6)


def interval(**fields: object) -> Interval:
    usual = {"duration_s": 1.0, "cpu_j": 100.0, "cpu_idle_j": 20.0, "ram_j": 10.0, "busy_s": 2.0}
    return Interval(**{**usual, **fields})  # type: ignore[arg-type]


@st.composite
def gpu_intervals(draw: st.DrawFn) -> GpuInterval:
    sm_s = draw(st.none() | st.dictionaries(st.sampled_from(TRIALS), amount))
    return GpuInterval(total_j=draw(amount), idle_j=draw(amount), sm_s=sm_s, other_sm_s=draw(amount))


@st.composite
def intervals(draw: st.DrawFn) -> Interval:
    gpus = draw(st.none() | st.dictionaries(st.integers(0, 2), gpu_intervals()))
    fields = {name: draw(amount) for name in ("duration_s", "cpu_j", "cpu_idle_j", "ram_j", "busy_s")}
    return Interval(**fields, gpus=gpus)


uses = st.dictionaries(
    st.sampled_from(TRIALS),
    st.builds(
        Use,
        cpus=st.floats(0, 64),
        cpu_s=amount,
        gpu_shares=st.dictionaries(st.integers(0, 3), st.floats(0, 2)),
        exclusive=st.frozensets(st.integers(0, 3)),
        run=st.sampled_from(["r", "s", None]),
    ),
)


beside = st.none() | st.builds(
    Beside,
    trials=st.integers(0, 9),
    cpus=st.floats(0, 64),
    gpu_shares=st.dictionaries(st.integers(0, 3), st.floats(0, 2)),
)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(intervals(), uses, beside), min_size=1, max_size=5))
def test_trials_and_other_and_unreserved_idle_are_the_node_whatever_is_read(
    steps: list[tuple[Interval, dict[str, Use], Beside | None]],
) -> None:
    ledger = NodeLedger(cpus=4, methods=MODEL, period_s=1)
    for step, used, others in steps:
        ledger.close(step, used, beside=others)
    totals = ledger.totals
    assert abs(totals.residual_j) <= 1e-9 * max(1.0, totals.total_j)
    for part in (totals.other_j, totals.idle_j, totals.trials_j):
        assert part >= -1e-9 * max(1.0, totals.total_j)


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(intervals(), uses, beside, st.sampled_from(["", "begin r", "begin s", "end r", "end s"])), max_size=9
    )
)
def test_every_run_adds_up_over_its_own_time_and_pays_for_its_own_trials(
    steps: list[tuple[Interval, dict[str, Use], Beside | None, str]],
) -> None:
    ledger = NodeLedger(cpus=4, methods=MODEL, period_s=1)
    under_way: dict[str, list[tuple[Interval, dict[str, Use], Beside | None]]] = {}
    for step, used, others, happens in steps:
        ledger.close(step, used, beside=others)
        for seen in under_way.values():
            seen.append((step, used, others))
        word, _, run = happens.partition(" ")
        if word == "begin":
            ledger.begin(run)
            under_way[run] = []
        elif word == "end" and run in under_way:
            check(ledger.end(run), run, under_way.pop(run))
    assert ledger.of_runs.keys() == under_way.keys()
    for run, totals in ledger.of_runs.items():
        check(totals, run, under_way[run])


def check(totals: NodeTotals, run: str, seen: list[tuple[Interval, dict[str, Use], Beside | None]]) -> None:
    """The totals of a run are what its trials, and those of others, paid in the intervals of its time."""
    own = others = 0.0
    for step, used, around in seen:
        for trial, energy in split(step, used, cpus=4, methods=MODEL, beside=around or Beside()).trials.items():
            own += (energy.total_j or 0.0) if used[trial].run == run else 0.0
            others += (energy.total_j or 0.0) if used[trial].run != run else 0.0
    close = 1e-9 * max(1.0, totals.total_j)
    assert abs(totals.trials_j - own) <= close
    assert abs(totals.other_runs_j - others) <= close
    assert abs(totals.residual_j) <= close
    assert totals.samples == len(seen)


@settings(deadline=None)
@given(step=intervals(), used=uses)
def test_no_trial_ever_pays_less_than_nothing(step: Interval, used: dict[str, Use]) -> None:
    for energy in split(step, used, cpus=4, methods=MODEL).trials.values():
        for joules in (energy.cpu_j, energy.gpu_j, energy.ram_j, energy.idle_j):
            assert joules is None or joules >= 0


def test_dynamic_cpu_energy_goes_by_cpu_seconds_and_the_rest_is_other() -> None:
    paid = split(interval(), {"a": Use(cpus=1, cpu_s=1.0), "b": Use(cpus=1, cpu_s=0.5)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].cpu_j == 40
    assert paid.trials["b"].cpu_j == 20
    assert paid.other_j == pytest.approx(20)


def test_idle_and_ram_go_by_reservation_and_the_rest_is_unreserved() -> None:
    paid = split(interval(), {"a": Use(cpus=1, cpu_s=0.0)}, cpus=4, methods=MODEL)
    assert paid.trials["a"].idle_j == 5
    assert paid.trials["a"].ram_j == 2.5
    assert paid.idle_j == pytest.approx(22.5)


def test_more_cpu_seconds_than_the_node_was_busy_are_charged_no_more_than_there_is() -> None:
    paid = split(
        interval(busy_s=1.0), {"a": Use(cpus=1, cpu_s=3.0), "b": Use(cpus=1, cpu_s=1.0)}, cpus=2, methods=MODEL
    )
    assert paid.trials["a"].cpu_j == 60
    assert paid.other_j == pytest.approx(0)


def test_a_node_on_which_nobody_did_anything_charges_nobody_dynamic_energy() -> None:
    paid = split(interval(busy_s=0.0), {"a": Use(cpus=1, cpu_s=0.0)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].cpu_j == 0


def test_an_overcommitted_node_is_shared_in_proportion() -> None:
    paid = split(interval(), {"a": Use(cpus=3, cpu_s=0), "b": Use(cpus=1, cpu_s=0)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].idle_j == 15
    assert paid.idle_j == pytest.approx(0)


def on_gpu(share: float, exclusive: bool = False) -> Use:
    return Use(cpus=1, cpu_s=0, gpu_shares={0: share}, exclusive=frozenset({0} if exclusive else ()))


def test_a_gpu_to_itself_costs_a_trial_all_of_it_also_between_kernels() -> None:
    gpu = GpuInterval(total_j=300, idle_j=70, sm_s={}, other_sm_s=0)
    paid = split(interval(gpus={0: gpu}), {"a": on_gpu(1, exclusive=True)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].gpu_j == 230
    assert paid.trials["a"].idle_j == pytest.approx(70 + 10)


def test_two_trials_on_one_gpu_share_it_by_sm_time_and_strangers_are_other() -> None:
    gpu = GpuInterval(total_j=300, idle_j=100, sm_s={"a": 0.6, "b": 0.2}, other_sm_s=0.2)
    paid = split(interval(gpus={0: gpu}), {"a": on_gpu(0.5), "b": on_gpu(0.5)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].gpu_j == pytest.approx(120)
    assert paid.trials["b"].gpu_j == pytest.approx(40)
    assert paid.other_j == pytest.approx(40 + 80)  # and the CPU's, which nobody here used


@pytest.mark.parametrize("sm_s", [None, {}])
def test_where_sm_time_does_not_tell_the_reservation_does(sm_s: dict[str, float] | None) -> None:
    gpu = GpuInterval(total_j=300, idle_j=100, sm_s=sm_s)
    paid = split(interval(gpus={0: gpu}), {"a": on_gpu(0.5), "b": on_gpu(0.25)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].gpu_j == pytest.approx(200 * 2 / 3)
    assert paid.trials["b"].gpu_j == pytest.approx(200 / 3)


def test_a_gpu_that_nobody_reserved_is_idle_and_other() -> None:
    gpu = GpuInterval(total_j=300, idle_j=100, sm_s={}, other_sm_s=0.5)
    paid = split(interval(gpus={0: gpu}), {}, cpus=2, methods=MODEL)
    assert paid.other_j == pytest.approx(200 + 80)
    assert paid.idle_j == pytest.approx(100 + 20 + 10)


def test_without_a_gpu_reader_gpu_energy_is_unmeasured_and_not_zero() -> None:
    paid = split(interval(), {"a": on_gpu(1)}, cpus=2, methods=MODEL)
    assert paid.trials["a"].gpu_j is None


def test_unlike_readers_make_a_mixed_figure() -> None:
    methods = Methods(cpu="counter", ram="model", gpu="counter")
    assert methods.combined == "mixed"
    assert Methods(cpu="counter", ram="counter").combined == "counter"


def test_two_meters_that_see_each_other_charge_the_nodes_idle_and_ram_once() -> None:
    mine, others = {"a": Use(cpus=2, cpu_s=1.0)}, {"b": Use(cpus=1, cpu_s=1.0), "c": Use(cpus=1, cpu_s=0.0)}
    here = split(interval(), mine, cpus=2, methods=MODEL, beside=Beside(trials=2, cpus=2))
    there = split(interval(), others, cpus=2, methods=MODEL, beside=Beside(trials=1, cpus=2))
    energies = [*here.trials.values(), *there.trials.values()]
    assert [energy.idle_j for energy in energies] == [10, 5, 5]
    assert [energy.ram_j for energy in energies] == [5, 2.5, 2.5]
    assert here.other_j == pytest.approx(40 + 15), "what the other meter's trials used and reserved"
    assert here.idle_j == there.idle_j == 0


def test_a_neighbour_that_leaves_room_changes_no_trials_energy() -> None:
    used = {"a": Use(cpus=1, cpu_s=1.0)}
    alone = split(interval(), used, cpus=4, methods=MODEL)
    crowded = split(interval(), used, cpus=4, methods=MODEL, beside=Beside(trials=1, cpus=3))
    assert crowded.trials == alone.trials
    assert (alone.idle_j, crowded.idle_j) == (22.5, 0)


def test_a_gpu_that_another_meters_trial_holds_too_is_nobodys_alone() -> None:
    gpu = GpuInterval(total_j=300.0, idle_j=60.0, sm_s={"a": 0.25}, other_sm_s=0.75)
    whole = Use(cpus=0, cpu_s=0.0, gpu_shares={0: 1.0}, exclusive=frozenset({0}))
    both = Beside(trials=1, gpu_shares={0: 1.0})
    paid = split(interval(gpus={0: gpu}), {"a": whole}, cpus=1, methods=MODEL, beside=both)
    assert (paid.trials["a"].gpu_j, paid.trials["a"].idle_j) == (60, 30)
    untold = GpuInterval(total_j=300.0, idle_j=60.0, sm_s=None)
    paid = split(interval(gpus={0: untold}), {"a": whole}, cpus=1, methods=MODEL, beside=both)
    assert paid.trials["a"].gpu_j == 120


def test_time_beside_another_meters_trials_is_added_up_and_unknown_once_it_was_unknown() -> None:
    ledger = NodeLedger(cpus=2, methods=MODEL, period_s=1)
    for others in (Beside(), Beside(trials=1, cpus=1), Beside(trials=2, cpus=2)):
        ledger.close(interval(duration_s=1.5), {}, beside=others)
    assert ledger.totals.meters_beside_s == 3
    ledger.close(interval(), {}, beside=None)
    assert ledger.totals.meters_beside_s is None


def test_coverage_leaves_out_gaps_and_late_readings() -> None:
    ledger = NodeLedger(cpus=2, methods=MODEL, period_s=1)
    ledger.close(interval(duration_s=1.0), {})
    ledger.close(interval(duration_s=1.0), {}, gap=True)
    ledger.close(interval(duration_s=6.0), {})
    assert ledger.totals.coverage == 1 / 8
    assert ledger.totals.longest_gap_s == 6
    assert ledger.totals.samples == 3


def test_a_preview_charges_nothing() -> None:
    ledger = NodeLedger(cpus=2, methods=MODEL, period_s=1)
    used = {"a": Use(cpus=1, cpu_s=1.0)}
    before = ledger.preview("a", interval(), used)
    assert ledger.totals.total_j == 0
    ledger.close(interval(), used)
    assert (ledger.trials["a"], ledger.paces["a"]) == before
    assert math.isclose(ledger.totals.total_j, 110)
