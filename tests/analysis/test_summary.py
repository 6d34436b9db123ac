"""The ranking table: who is incumbent, what is charged, what is never pooled, and how it looks."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from synthetic import DAY, Frames, Recipe, make_frames, run, trial

from analysis import summary
from analysis.ranking import ranking
from analysis.rendering.table import Table, render, rich_table
from analysis.runs.outcomes import notices, run_outcomes
from tune_kd.errors import InputError
from tune_kd.formats import MISSING
from tune_kd.store.reading.incumbents import incumbents


def table_of(
    runs: pd.DataFrame, trials: pd.DataFrame, nodes: pd.DataFrame | None = None, policies: Sequence[str] = ()
) -> pd.DataFrame:
    return summary.tabulate(run_outcomes(runs, trials, nodes), policies=policies)


def tables_of(runs: pd.DataFrame, trials: pd.DataFrame, nodes: pd.DataFrame | None = None) -> list[Table]:
    outcomes = run_outcomes(runs, trials, nodes)
    return summary.format_table(summary.tabulate(outcomes), notes=notices(outcomes))


def test_the_incumbent_is_chosen_by_validation_and_brings_its_own_test() -> None:
    trials = pd.DataFrame([trial("a", 0, 0.80, 0.99), trial("a", 1, 0.90, 0.70), trial("a", 2, 0.85, 0.95)])
    best = incumbents(trials).loc["a"]
    assert (best["val_score"], best["test_score"]) == (0.90, 0.70)


def test_the_lowest_index_wins_a_tie_whoever_ended_first_and_whatever_its_place_in_the_table() -> None:
    late = trial("a", 0, 0.9, 0.1, ended_at=DAY + pd.Timedelta(hours=2))
    early = trial("a", 1, 0.9, 0.2, ended_at=DAY + pd.Timedelta(hours=1))
    for trials in ([late, early], [early, late]):
        assert incumbents(pd.DataFrame(trials)).loc["a", "test_score"] == 0.1


def test_a_failed_trial_is_never_incumbent_but_is_paid_for() -> None:
    trials = pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("a", 1, 0.99, None, status="failed", energy_j=7.0)])
    row = table_of(pd.DataFrame([run("a", "grid")]), trials).iloc[0]
    assert (row["val_score_mean"], row["test_score_mean"]) == (0.8, 0.7)
    assert (row["energy_j"], row["flops_executed"], row["failed"]) == (17.0, 200.0, 1)


def test_a_retry_is_paid_for_and_is_one_trial() -> None:
    trials = pd.DataFrame([trial("a", 0, None, None, status="lost"), trial("a", 0, 0.8, 0.7, attempt=1)])
    row = table_of(pd.DataFrame([run("a", "grid")]), trials).iloc[0]
    assert (row["trials"], row["energy_j"], row["lost"]) == (1, 20.0, 1)


def test_what_the_trials_share_is_charged_once() -> None:
    runs = pd.DataFrame([run("a", "grid", shared_energy_j=100.0, shared_flops=1000.0, shared_co2e_g=3.0)])
    row = table_of(runs, pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("a", 1, 0.8, 0.7)])).iloc[0]
    assert (row["energy_j"], row["flops_executed"], row["co2e_g"]) == (120.0, 1200.0, 5.0)


def test_shared_work_without_a_measurement_makes_the_energy_unknown() -> None:
    runs = pd.DataFrame([run("a", "grid", shared_energy_j=None, shared_flops=1000.0)])
    assert np.isnan(table_of(runs, pd.DataFrame([trial("a", 0, 0.8, 0.7)])).iloc[0]["energy_j"])


@pytest.mark.parametrize(("epochs", "known"), [(2, False), (0, True)])
def test_one_unmeasured_attempt_that_trained_makes_the_energy_unknown(epochs: int, known: bool) -> None:
    lost = trial("a", 1, None, None, status="lost", energy_j=None, epochs=epochs)
    row = table_of(pd.DataFrame([run("a", "grid")]), pd.DataFrame([trial("a", 0, 0.8, 0.7), lost])).iloc[0]
    assert np.isfinite(row["energy_j"]) == known


def test_a_ratio_of_costs_is_one_figure_over_the_replicates_both_have_whichever_table_has_it() -> None:
    runs = [run(f"g{i}", "grid", i) for i in range(3)] + [run(f"s{i}", "stochastic", i) for i in (1, 2)]
    energies = {"g0": 1000.0, "g1": 100.0, "g2": 10.0, "s1": 5.0, "s2": 8.0}
    trials = pd.DataFrame([trial(name, 0, 0.8, 0.7, energy_j=joules) for name, joules in energies.items()])
    table = table_of(pd.DataFrame(runs), trials).set_index("label")
    assert table["energy_ratio"].to_dict() == pytest.approx({"grid": 1.0, "stochastic": 0.2})  # √(0.05 · 0.8)
    verdicts = ranking(run_outcomes(pd.DataFrame(runs), trials)).set_index("label")
    assert verdicts.loc["stochastic", "ratio"] == pytest.approx(0.2)


def test_the_ratio_beside_costs_is_of_the_currency_that_ranks() -> None:
    runs = pd.DataFrame([run("g", "grid"), run("s", "stochastic")])
    trials = pd.DataFrame([trial("g", 0, 0.8, 0.7), trial("s", 0, 0.8, 0.7, energy_j=5.0, flops_executed=10)])
    by_flops, by_energy = (
        summary.format_table(table_of(runs, trials), order=order)[0].rows for order in ("flops", "energy")
    )
    assert [row[-1] for row in by_flops] == ["0.100", "1.00"]
    assert [row[-1] for row in by_energy] == ["0.500", "1.00"]


def test_energies_have_their_spread_and_say_that_a_model_made_them() -> None:
    runs = pd.DataFrame([run("g0", "grid", 0), run("g1", "grid", 1)])
    trials = pd.DataFrame([trial(f"g{i}", 0, 0.8, 0.7, energy_j=joules) for i, joules in enumerate((3600.0, 10800.0))])
    [table] = summary.format_table(table_of(runs, trials))
    assert table.rows[0][table.headers.index("Wh model")] == "2.00 ±1.4"  # √2, over n − 1
    [counted] = summary.format_table(table_of(runs, trials.assign(energy_method="counter")))
    assert "Wh" in counted.headers


def test_energy_at_its_own_pace_has_a_column_where_it_differs() -> None:
    runs = pd.DataFrame([run("g", "grid"), run("s", "stochastic")])
    calm = pd.DataFrame([trial(name, 0, 0.8, 0.7, energy_j=3600.0, energy_own_pace_j=3600.0) for name in "gs"])
    busy = calm.assign(energy_own_pace_j=[1800.0, 3600.0])
    assert "own pace" not in summary.format_table(table_of(runs, calm))[0].headers
    [table] = summary.format_table(table_of(runs, busy))
    assert {row[0]: row[table.headers.index("own pace")] for row in table.rows} == {
        "grid": "0.500",
        "stochastic": "1.00",
    }


def test_without_grid_the_first_policy_named_is_the_reference() -> None:
    frames = make_frames(policies={"tpe": Recipe(trials=20), "random": Recipe(trials=10)}, replicates=2)
    assert set(table_of(frames.runs, frames.trials)["reference"]) == {"tpe"}
    named = table_of(frames.runs, frames.trials, policies=["random", "tpe"])
    assert set(named["reference"]) == {"random"}
    assert list(named["label"]) == ["random", "tpe"]


def test_means_and_sample_deviations_are_those_of_the_replicates() -> None:
    runs = pd.DataFrame([run(f"g{i}", "grid", i) for i in range(3)])
    trials = pd.DataFrame([trial(f"g{i}", 0, 0.8, test) for i, test in enumerate((0.7, 0.8, 0.9))])
    row = table_of(runs, trials).iloc[0]
    assert row["test_score_mean"] == pytest.approx(0.8)
    assert row["test_score_std"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "other",
    [
        {"split_sha256": "t"},
        {"equivalence_margin": 0.01},
        {"scenario": "cifar10"},
        {"scenario_json": '{"epochs": 9}'},
        {"track": "budget"},
        {"budget_limit": 10.0},
        {"target_accuracy": 0.9},
    ],
)
def test_what_differs_is_never_pooled_and_is_said(other: dict[str, object]) -> None:
    runs = pd.DataFrame([run("a", "grid", 0), run("b", "grid", 1, **other)])
    trials = pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("b", 0, 0.9, 0.8)])
    assert list(table_of(runs, trials)["replicates"]) == [1, 1]
    assert "never pooled" in notices(run_outcomes(runs, trials))[0]


def test_energies_that_were_taken_beside_another_study_are_said() -> None:
    runs = pd.DataFrame([run("a", "grid", 0), run("b", "grid", 1), run("c", "grid", 2)])
    trials = pd.DataFrame([trial(name, 0, 0.8, 0.7) for name in "abc"])
    nodes = pd.DataFrame({"run_id": [*"aabc"], "node_id": [*"xyxx"], "meters_beside_s": [0.0, 2.5, 0.0, None]})
    [line] = notices(run_outcomes(runs, trials, nodes))
    assert line.startswith("energies of 1 run were taken while another study (or another Ray node) ran on the same ")
    assert notices(run_outcomes(runs, trials)) == []


def test_replicates_are_paired_by_their_seeds_and_not_by_their_numbers() -> None:
    runs = [run(f"{policy}{seed}", policy, seed % 10, seed=seed) for policy in ("grid", "tpe") for seed in (10, 11)]
    runs += [run(f"tpe{seed}", "tpe", seed % 10, seed=seed) for seed in (20, 21)]
    frame = pd.DataFrame(runs)
    trials = pd.DataFrame([trial(run_id, 0, 0.8, 0.7) for run_id in frame["run_id"]])
    outcomes = run_outcomes(frame, trials).set_index("run_id")
    assert outcomes["counted"].all(), "another seed is another replicate"
    for one, other, paired in (("grid10", "tpe10", True), ("grid10", "tpe20", False), ("tpe11", "tpe21", False)):
        assert (outcomes.loc[one, "replicate"] == outcomes.loc[other, "replicate"]) == paired
    alike = run_outcomes(frame[frame["seed"] < 20], trials)
    assert alike["replicate"].tolist() == [0, 1, 0, 1], "numbers stay where they are those of the seeds"


def test_equal_scenarios_written_in_another_order_are_one() -> None:
    runs = [
        run("a", "grid", 0, scenario_json='{"a": 1, "b": 2}'),
        run("b", "grid", 1, scenario_json='{"b": 2, "a": 1}'),
    ]
    table = table_of(pd.DataFrame(runs), pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("b", 0, 0.8, 0.7)]))
    assert list(table["replicates"]) == [2]


def test_variants_of_a_policy_are_told_apart_by_what_differs() -> None:
    runs = [
        run("a", "annealing", 0, policy_json='{"shape": "linear", "tau_max": 20}'),
        run("b", "annealing", 0, policy_json='{"shape": "cosine", "tau_max": 20}'),
    ]
    table = table_of(pd.DataFrame(runs), pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("b", 0, 0.8, 0.7)]))
    assert list(table["label"]) == ["annealing shape=linear", "annealing shape=cosine"]


def test_the_same_replicate_twice_counts_once_the_later_one() -> None:
    runs = pd.DataFrame([run("a", "grid", 0, started_at=DAY + pd.Timedelta(hours=1)), run("b", "grid", 0)])
    trials = pd.DataFrame([trial("a", 0, 0.8, 0.7), trial("b", 0, 0.9, 0.9)])
    row = table_of(runs, trials).iloc[0]
    assert (row["runs"], row["replicates"], row["test_score_mean"]) == (2, 1, 0.7)
    assert "1 run left out" in notices(run_outcomes(runs, trials))[0]


def test_planned_failed_and_empty_runs_are_shown_with_dashes_and_counted() -> None:
    runs = [run("a", "grid"), run("b", "random", status="planned"), run("c", "tpe", status="failed")]
    runs.append(run("d", "annealing"))
    trials = [trial("a", 0, 0.8, 0.7), trial("c", 0, None, None, status="failed", energy_method=None)]
    tables = tables_of(pd.DataFrame(runs), pd.DataFrame(trials))
    assert len(tables) == 1
    cells = {row[0]: row for row in tables[0].rows}
    assert set(cells) == {"grid", "random", "tpe", "annealing"}
    assert cells["random"][1] == "0"
    assert cells["random"][3:9] == [MISSING] * 6
    text = "\n".join(tables[0].notes)
    assert "1 run planned" in text
    assert "1 run failed" in text
    assert "1 run ended without a finished trial" in text


def test_a_store_without_trials_or_without_runs_still_gives_a_table() -> None:
    frames = make_frames(replicates=1)
    nothing = frames.trials.iloc[:0]
    assert [row[4] for row in tables_of(frames.runs, nothing)[0].rows] == [MISSING] * 5
    empty = table_of(frames.runs.iloc[:0], nothing)
    assert len(empty) == 0
    assert "energy_ratio" in empty
    assert summary.format_table(empty) == []


def test_json_has_numbers_whole_and_null_for_what_has_no_value() -> None:
    values = {"small": 1 / 3e12, "large": 1e17 / 3, "count": 2**53, "unknown": np.nan, "endless": np.inf, "at": DAY}
    table = Table(title="", headers=[], rows=[], data=pd.DataFrame([values | {"words": ["a", "b"]}]))
    [[row]] = json.loads(render(table, "json"))
    assert (row["small"], row["large"], row["count"]) == (1 / 3e12, 1e17 / 3, 2**53)
    assert (row["unknown"], row["endless"], row["words"]) == (None, None, ["a", "b"])
    assert row["at"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("unmatched_j", "noted"), [(0.0, False), (4.0, False), (7.0, True), (-2.0, True), (None, False)]
)
def test_a_run_whose_nodes_have_not_counted_all_of_it_is_noted_but_for_shared_outputs(
    unmatched_j: float | None, noted: bool
) -> None:
    runs = pd.DataFrame([run("a", "grid", energy_unmatched_j=unmatched_j, shared_energy_j=4.0, shared_flops=1.0)])
    lines = notices(run_outcomes(runs, pd.DataFrame([trial("a", 0, 0.8, 0.7)])))
    assert any(line.startswith("node totals of 1 run are not those of its trials") for line in lines) == noted


def test_every_form_says_the_same_and_machines_get_base_units() -> None:
    frames = make_frames(replicates=2)
    tables = tables_of(frames.runs, frames.trials, frames.nodes)
    records = json.loads(render(tables, "json"))
    csv = pd.read_csv(io.StringIO(render(tables, "csv")))
    assert [row["label"] for row in records[0]] == list(csv["label"]) == [row[0] for row in tables[0].rows]
    grid = next(row for row in records[0] if row["label"] == "grid")
    assert grid["energy_j"] == pytest.approx(19 * 3600, rel=0.01)
    assert render(tables, "md").count("\n| ") == 6 + 1
    assert r"\begin{tabular}{lrrrrrrrr}" in render(tables, "latex")
    with pytest.raises(InputError, match="did you mean 'latex'"):
        render(tables, "latx")


@pytest.mark.parametrize("broken", [False, True])
def test_the_table_fits_a_terminal_of_80_columns(frames: Frames, broken: bool) -> None:
    console = Console(width=80, file=io.StringIO(), record=True)
    trials = frames.trials.assign(status=["lost", *frames.trials["status"][1:]]) if broken else frames.trials
    for table in tables_of(frames.runs, trials):
        console.print(rich_table(table))
    text = console.export_text()
    assert "stochastic" in text
    assert "…" not in text
    rows = [line for line in text.splitlines() if line.strip().split(" ")[0] in set(frames.runs["policy"])]
    assert len(rows) == 5
    assert all("±" in row for row in rows)


@pytest.fixture
def frames() -> Frames:
    return make_frames(replicates=2)


def test_energies_share_one_unit_that_fits_the_largest(frames: Frames) -> None:
    assert "Wh model" in tables_of(frames.runs, frames.trials)[0].headers
    large = frames.trials.assign(energy_j=frames.trials["energy_j"] * 1000)
    assert "kWh model" in tables_of(frames.runs, large)[0].headers


def test_orders_are_by_energy_accuracy_or_as_named(frames: Frames) -> None:
    table = table_of(frames.runs, frames.trials)
    assert list(summary.rank(table, "named")["label"]) == ["grid", "random", "tpe", "annealing", "stochastic"]
    assert summary.rank(table, "energy")["energy_j"].is_monotonic_increasing
    assert summary.rank(table, "accuracy")["test_score_mean"].is_monotonic_decreasing
    with pytest.raises(InputError, match="unknown order 'enrgy'"):
        summary.rank(table, "enrgy")


def test_few_replicates_are_stamped_screening() -> None:
    few, enough = make_frames(replicates=9), make_frames(replicates=10)
    assert "screening" in tables_of(few.runs, few.trials)[0].notes[0]
    assert "screening" not in tables_of(enough.runs, enough.trials)[0].notes[0]


def test_trials_that_diverged_are_counted_and_named_by_temperature_and_epoch() -> None:
    runs = pd.DataFrame([run("a", "grid"), run("b", "stochastic")])
    trials = pd.DataFrame(
        [
            trial("a", 0, 0.8, 0.7, tau=2.0, diverged_epoch=None),
            trial("a", 1, 0.0, 0.0, tau=20.0, diverged_epoch=3),
            trial("b", 0, 0.0, 0.0, tau=None, diverged_epoch=1),
        ]
    )
    outcomes = run_outcomes(runs, trials)
    assert [line for line in notices(outcomes) if "diverged" in line] == [
        "1 of 2 trials of grid diverged (τ = 20, epoch 3)",
        "1 of 1 trials of stochastic diverged (epoch 1)",
    ]
    table = summary.tabulate(outcomes).set_index("label")
    assert table["diverged"].to_dict() == {"grid": 1, "stochastic": 1}
    assert (table.loc["grid", "test_score_mean"], table.loc["stochastic", "test_score_mean"]) == (0.7, 0.0)


def test_records_of_before_say_nothing_of_divergence() -> None:
    outcomes = run_outcomes(pd.DataFrame([run("a", "grid")]), pd.DataFrame([trial("a", 0, 0.8, 0.7)]))
    assert (outcomes["diverged"].tolist(), [line for line in notices(outcomes) if "diverged" in line]) == ([0], [])


def test_of_many_places_where_trials_diverged_a_few_are_named() -> None:
    trials = pd.DataFrame([trial("a", i, 0.0, 0.0, tau=2.0 + i, diverged_epoch=i + 1) for i in range(5)])
    [line] = notices(run_outcomes(pd.DataFrame([run("a", "grid")]), trials))
    assert line == ("5 of 5 trials of grid diverged (τ = 2, epoch 1; τ = 3, epoch 2; τ = 4, epoch 3; and 2 more)")
