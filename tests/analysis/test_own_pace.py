"""Energies of a busy machine: the report says so, and the ranking can go by the trials' own pace."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from synthetic import Row, run, trial

from analysis.runs.contention import contention_notes
from analysis.runs.outcomes import notices, run_outcomes
from analysis.runs.own_pace import at_own_pace
from analysis.runs.reading import Records
from analysis.summary import rank, tabulate
from tune_kd.errors import InputError


def spent(energy_j: float, own_j: float | None, waited: float = 0.0, other: float = 0.0) -> Row:
    """Of 100 s a trial waited for a part, for strangers or for other trials."""
    energies = {"energy_j": energy_j, "energy_cpu_j": 4.0, "energy_ram_j": (energy_j - 4.0) / 4}
    energies |= {"energy_idle_j": 3 * (energy_j - 4.0) / 4, "energy_own_pace_j": own_j, "co2e_g": energy_j}
    return {**energies, "metered_s": 100.0, "cpu_wait_s": 100.0 * waited, "cpu_wait_other_s": 100.0 * other}


def records(trials: list[tuple[str, int, Row]]) -> Records:
    """A run of one trial for each policy and replicate."""
    runs = pd.DataFrame([run(f"{policy}{place}", policy, place, seed=place) for policy, place, _ in trials])
    rows = pd.DataFrame([trial(f"{policy}{place}", 0, 0.8, 0.7, **row) for policy, place, row in trials])
    nodes, reports = pd.DataFrame(columns=["run_id", "node_id"]), pd.DataFrame(columns=list(rows.columns))
    return Records(runs=runs, trials=rows, reports=reports, nodes=nodes, outcomes=run_outcomes(runs, rows))


BUSY = records([("grid", 0, spent(10.0, 10.0, 0.01)), ("tpe", 0, spent(24.0, 8.0, 0.8, 0.75))])


def test_the_report_says_that_the_machine_was_busy_and_how_much_of_a_ratio_may_be_due_to_it() -> None:
    first, second = contention_notes(BUSY.outcomes)[:2]
    assert first == (
        "energies were taken on a busy machine: trials of 1 of 2 runs waited for a CPU 75 % of their time in the mean "
        "because of programs that are no trials, 80 % in all"
    )
    assert second.startswith(
        "up to 200 % of a ratio of energies may be due to it: tpe takes 2.4 times the energy of grid by the hour, "
        "0.8 times at its own pace"
    )
    assert first in notices(BUSY.outcomes)


def test_the_ranking_by_own_pace_is_another_one() -> None:
    assert list(rank(tabulate(BUSY.outcomes))["label"]) == ["grid", "tpe"]
    paced = at_own_pace(BUSY)
    assert list(rank(tabulate(paced.outcomes))["label"]) == ["tpe", "grid"]
    assert list(paced.outcomes["energy_j"]) == [10.0, 8.0]
    assert list(paced.outcomes["co2e_g"]) == pytest.approx([10.0, 8.0])
    said = "energies and CO2e are at the trials' own pace"
    assert [any(line.startswith(said) for line in notices(one.outcomes)) for one in (BUSY, paced)] == [False, True]


def test_components_at_own_pace_add_up_to_it_and_use_stays_as_it_is() -> None:
    found = at_own_pace(BUSY).trials
    parts = found[["energy_cpu_j", "energy_ram_j", "energy_idle_j"]]
    assert parts.sum(axis=1).to_numpy() == pytest.approx(found["energy_j"].to_numpy())
    assert list(found["energy_cpu_j"]) == [4.0, 4.0]


def test_a_calm_machine_is_not_spoken_of() -> None:
    calm = records([("grid", 0, spent(10.0, 10.0, 0.02)), ("tpe", 0, spent(11.0, 11.0, 0.03))])
    assert contention_notes(calm.outcomes) == []
    unknown = records([("grid", 0, spent(10.0, None, np.nan)), ("tpe", 0, spent(11.0, None, np.nan))])
    assert contention_notes(unknown.outcomes) == []


def test_trials_that_wait_for_each_other_make_no_busy_machine() -> None:
    full = [("grid", 0, spent(12.0, 10.0, 0.3, 0.04)), ("tpe", 0, spent(14.0, 10.0, 0.4, 0.05))]
    assert contention_notes(records(full).outcomes) == []


def test_a_comparison_that_nobody_disturbed_is_not_spoken_of_beside_one_that_somebody_did() -> None:
    calm = BUSY.outcomes.assign(comparison=1, waited_other=0.0, label=["one", "other"])
    lines = contention_notes(pd.concat([BUSY.outcomes, calm], ignore_index=True))
    assert "1 of 4 runs" in lines[0]
    assert not any("one" in line.split() for line in lines)


def test_replicates_that_are_far_busier_than_the_others_are_named() -> None:
    rows = [("grid", i, spent(10.0, 10.0, 0.5, 0.06)) for i in range(4)] + [("grid", 4, spent(30.0, 10.0, 0.7, 0.7))]
    lines = contention_notes(records(rows).outcomes)
    assert lines[-1] == (
        "far busier than the median run, whose trials so waited 6 % of their time: replicate 4 of grid (70 %)"
    )


def test_what_the_trials_share_is_at_its_own_pace_too_and_unknown_where_it_was_not_recorded() -> None:
    known = BUSY.runs.assign(shared_energy_j=6.0, shared_flops=1.0, shared_energy_own_pace_j=2.0)
    assert list(run_outcomes(known, BUSY.trials)["energy_own_pace_j"]) == [12.0, 10.0]
    unknown = known.drop(columns="shared_energy_own_pace_j")
    assert run_outcomes(unknown, BUSY.trials)["energy_own_pace_j"].isna().all()


def test_records_of_older_versions_have_no_own_pace() -> None:
    older = records([("grid", 0, spent(10.0, None)), ("tpe", 0, spent(10.0, None))])
    with pytest.raises(InputError, match="no trial here has an energy at its own pace"):
        at_own_pace(older)
