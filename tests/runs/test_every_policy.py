"""Real runs: Ray Tune with every policy, on the embedded digits."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

import tune_kd
from policies import POLICIES
from search_spaces import SPACES
from tune_kd import events
from tune_kd.errors import InputError, RunFailed
from tune_kd.progress.base import Progress
from tune_kd.storage.checkpoints import checkpoints_folder

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 2, "teacher_recipe.epochs": 1}
# Those that stop trials early have tests of their own.
TO_THE_END = [name for name, policy in POLICIES.items() if policy().scheduler() is None]
RESULTS = [
    "index",
    "params_json",
    "tau",
    "alpha",
    "seed",
    "status",
    "epochs",
    "val_score",
    "val_loss",
    "test_score",
]


class Heard(Progress):
    """Keeps what a display would be told."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.notes: list[str] = []

    def event(self, event: events.Event) -> None:
        self.events.append(event)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def everything(ray_running, cache, tmp_path_factory):
    """One compare of all policies."""
    heard = Heard()
    outcome = tune_kd.compare(
        policies=TO_THE_END,
        budget="4trials",
        settings=SMALL,
        store=tmp_path_factory.mktemp("everything") / "runs",
        cache=cache,
        country="BGD",
        pue=1.67,
        progress=heard,
    )
    return outcome, heard


def test_every_policy_runs_its_trials_to_the_end(everything):
    outcome, _ = everything
    runs, trials = outcome.store.runs(), outcome.store.trials()
    assert set(runs.status) == {"completed"}
    assert (trials.status == "completed").all()
    counts = trials.merge(runs[["run_id", "policy"]]).groupby("policy").size()
    native = {name: POLICIES[name]().native_trials(SPACES["tau"]) for name in TO_THE_END}
    assert counts.to_dict() == {name: min(4, count or 4) for name, count in native.items()}
    assert (runs.spent == runs.run_id.map(trials.groupby("run_id").size())).all()
    assert (runs.overshoot == 0).all()


def test_every_trial_and_epoch_is_recorded_with_its_costs(everything):
    outcome, heard = everything
    trials, reports = outcome.store.trials(), outcome.store.reports()
    assert len(reports) == 2 * len(trials)
    for table in (trials, reports):
        costs = table[["energy_j", "energy_cpu_j", "energy_ram_j", "co2e_g", "flops_executed", "train_s", "eval_s"]]
        # The kernel counts a process's time in ticks of 10 ms: a first epoch may be shorter than one.
        assert (costs.drop(columns="energy_cpu_j") > 0).all(axis=None)
        assert (costs.energy_cpu_j >= 0).all()
        assert table.energy_gpu_j.isna().all()
        assert set(table.energy_method) == {"model"}
    last = reports[reports.epoch == 2].set_index("trial_id")
    by_id = trials.set_index("trial_id")
    assert (by_id.energy_j > 0.9 * last.energy_j).all(), "the closed account reaches to the end of the trial"
    pd.testing.assert_series_equal(by_id.flops_executed, last.flops_executed)
    pd.testing.assert_series_equal(by_id.val_score, last.val_score)
    assert trials.test_score.between(0, 1).all()
    assert len([event for event in heard.events if isinstance(event, events.EpochReport)]) == len(reports)


def test_carbon_is_energy_times_pue_times_intensity(everything):
    trials = everything[0].store.trials()
    expected = trials.energy_j / 3.6e6 * 1.67 * trials.carbon_g_per_kwh
    pd.testing.assert_series_equal(trials.co2e_g, expected, check_names=False)
    assert trials.carbon_source.str.contains("Bangladesh|BGD").all()
    assert (set(trials.carbon_region), trials.carbon_year.notna().all()) == ({"BGD"}, True)


def test_with_two_trials_at_a_time_the_energies_add_up_to_the_nodes_total(everything):
    outcome, _ = everything
    trials, nodes = outcome.store.trials(), outcome.store.nodes().set_index("run_id")
    of_trials = trials.groupby("run_id")[["energy_j", "energy_test_j"]].sum().sum(axis=1)
    # The first of a replicate's runs that share the teacher's outputs has them computed; the others find them.
    runs = outcome.store.runs().sort_values("started_at").set_index("run_id")
    computed = runs[runs.shared_energy_j > 0].drop_duplicates("replicate").shared_energy_j
    metered = of_trials.add(computed, fill_value=0)
    pd.testing.assert_series_equal(nodes.energy_trials_j, metered, check_names=False, rtol=1e-9)
    parts = nodes[["energy_trials_j", "energy_other_runs_j", "energy_other_j", "energy_idle_j"]].sum(axis=1)
    pd.testing.assert_series_equal(nodes.energy_total_j, parts, check_names=False, rtol=1e-9)
    assert (nodes.energy_residual_j.abs() < 1e-9 * nodes.energy_total_j).all()
    components = ["energy_cpu_j", "energy_ram_j", "energy_idle_j"]
    pd.testing.assert_series_equal(trials.energy_j, trials[components].sum(axis=1), check_names=False)
    # A job reserves a CPU: never are there more than the machine has, tests of ended trials among them.
    assert 1 <= trials.co_tenants.max() < os.cpu_count()
    # What is charged to a run and metered for another one is marked.
    elsewhere = runs.shared_energy_j.fillna(0.0).sub(computed, fill_value=0.0).reindex(runs.index)
    pd.testing.assert_series_equal(runs.energy_unmatched_j, elsewhere, check_names=False, atol=1e-6)


def test_every_trial_and_report_says_how_busy_its_node_was_and_what_it_costs_at_its_own_pace(everything):
    store = everything[0].store
    for spent in (store.trials(), store.reports()):
        assert (spent.own_pace_method == "run-time").all()
        assert (spent.cpu_s >= 0).all()  # the kernel counts in ticks of 10 ms
        assert (spent.cpu_wait_s <= spent.metered_s + 1e-9).all()
        assert (spent.cpu_wait_other_s <= spent.cpu_wait_s + 1e-9).all()
        assert (spent.energy_own_pace_j <= spent.energy_j + 1e-9).all()
        assert (spent.energy_own_pace_j >= spent.energy_cpu_j - 1e-9).all()
    runs = store.runs()
    assert runs[runs.shared_energy_j > 0].shared_energy_own_pace_j.notna().all()
    assert runs.teacher_energy_own_pace_j.dropna().between(0, runs.teacher_energy_j.max()).all()


def test_tau_moves_within_a_trial_or_stays_as_the_policy_says(everything):
    outcome, _ = everything
    trials = outcome.store.trials().merge(outcome.store.runs()[["run_id", "policy"]])
    reports = outcome.store.reports().merge(trials[["trial_id", "policy", "tau"]])
    searched = reports[reports.policy.isin(["grid", "random", "tpe", "gp", "cost-aware"])]
    assert (searched.tau_min == searched.tau).all()
    assert (searched.tau_max == searched.tau).all()
    assert sorted(trials[trials.policy == "grid"].tau) == [2, 3, 4, 5]
    moving = reports[reports.policy.isin(["annealing", "stochastic"])]
    assert moving.tau.isna().all()
    assert (moving.tau_min < moving.tau_mean).all()
    assert (moving.tau_mean < moving.tau_max).all()
    assert moving.tau_min.min() == 2
    assert moving.tau_max.max() == 20


def test_a_run_records_what_it_needs_to_be_repeated(everything):
    outcome, _ = everything
    runs, nodes = outcome.store.runs(), outcome.store.nodes()
    needed = ["scenario_json", "policy_json", "policy_sha256", "space_json", "seed", "split_sha256", "code_version"]
    assert runs[needed].notna().all(axis=None)
    taught = runs[runs.policy != "student"]  # which asks no teacher, and waits for none
    assert taught[["teacher_id", "teacher_test_score", "teacher_energy_j"]].notna().all(axis=None)
    assert json.loads(runs.scenario_json[0])["recipe"]["epochs"] == 2
    assert runs.teacher_id.nunique() == 1
    assert nodes[["cpu_model", "cpus", "torch", "ray", "meter_params_json"]].notna().all(axis=None)
    assert runs.seed.nunique() == 1, "every policy of a replicate has its seed"


def test_the_same_seed_gives_the_same_results_at_any_concurrency(everything, cache, tmp_path):
    outcome, _ = everything
    again = tune_kd.run(
        "tpe", budget="4trials", replicates=1, settings=SMALL, store=tmp_path / "a", cache=cache, max_concurrent=1
    )
    other = tune_kd.run(
        "tpe", budget="4trials", settings=SMALL, store=tmp_path / "b", cache=cache, seed=1, max_concurrent=1
    )
    runs, trials = outcome.store.runs(), outcome.store.trials()
    first = runs[(runs.policy == "tpe") & (runs.replicate == 0)].run_id.item()
    expected = trials[trials.run_id == first][RESULTS].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.store.trials()[RESULTS].reset_index(drop=True), expected)
    assert not other.store.trials().val_loss.equals(again.store.trials().val_loss)


def test_every_policys_results_are_those_without_company_and_in_another_order(everything, cache, tmp_path):
    outcome, _ = everything
    policies = [plan.label for plan in outcome.study.runs]
    alone = tune_kd.compare(
        policies[::-1], budget="4trials", settings=SMALL, store=tmp_path / "runs", cache=cache, max_concurrent=1
    )
    found, expected = (
        result.store.trials().merge(result.store.runs()[["run_id", "policy"]]).sort_values(["policy", "index"])
        for result in (alone, outcome)
    )
    assert set(found.co_tenants) == {0}
    columns = ["policy", *RESULTS]
    pd.testing.assert_frame_equal(
        found[columns].reset_index(drop=True), expected[columns].reset_index(drop=True), check_exact=True
    )
    for result in (alone, outcome):  # the incumbent's checkpoint is the one that is kept, of equals the first by index
        for run_id in result.store.runs().run_id:
            kept = [path.stem for path in (cache / checkpoints_folder(run_id)).glob("*.pt")]
            trials = result.store.trials(run_ids=[run_id])
            best = trials[trials.val_score == trials.val_score.max()].sort_values("index").trial_id.iloc[0]
            assert kept == [result.store.incumbent(run_id)] == [best]


def test_a_run_that_asks_no_teacher_does_not_wait_for_its_training(ray_running, tmp_path):
    settings = {**SMALL, "recipe.epochs": 1}
    outcome = tune_kd.compare(
        ["fixed", "student"], settings=settings, store=tmp_path / "runs", cache=tmp_path / "cache"
    )
    runs = outcome.store.runs().set_index("policy")
    assert runs.started_at["student"] < runs.started_at["fixed"]
    assert runs.teacher_id.isna().to_dict() == {"fixed": False, "student": True}


def test_alpha_is_searched_where_the_space_has_it(ray_running, cache, tmp_path):
    outcome = tune_kd.run(
        "random",
        space="tau-alpha",
        budget="3trials",
        settings=SMALL,
        store=tmp_path / "runs",
        cache=cache,
        max_concurrent=1,
    )
    assert outcome.store.trials().alpha.isin([0.5, 0.65, 0.8, 0.95]).all()
    assert outcome.store.trials().alpha.nunique() > 1


def test_no_teacher_is_trained_that_nobody_asks_unless_it_is_wanted(ray_running, tmp_path):
    options = {"settings": {**SMALL, "recipe.epochs": 1}, "cache": tmp_path / "cache"}
    runs = tune_kd.run("student", store=tmp_path / "alone", **options).store.runs()
    assert runs.status.item() == "completed"
    assert runs[["teacher_id", "teacher_energy_j", "teacher_test_score"]].isna().all(axis=None)
    assert not (tmp_path / "cache" / "teachers").exists()
    wanted = tune_kd.run("student", store=tmp_path / "beside", train_teacher=True, **options).store.runs()
    assert wanted.teacher_test_score.notna().item()


def test_a_run_in_which_every_trial_fails_is_failed_with_the_first_error(ray_running, cache, tmp_path):
    unusable = tmp_path / "cache"
    unusable.mkdir()
    (cache / "teachers").mkdir(exist_ok=True)
    (unusable / "teachers").symlink_to(cache / "teachers")
    (unusable / "checkpoints").write_text("a file where the folder of checkpoints should be")
    with pytest.raises(RunFailed, match=r"1 of 1 runs failed.*checkpoints"):
        tune_kd.run("grid", budget="2trials", settings=SMALL, store=tmp_path / "runs", cache=unusable)
    store = tune_kd.open_store(tmp_path / "runs")
    assert store.runs().status.item() == "failed"
    trials = store.trials()
    assert sorted(trials.attempt) == [0, 0, 1, 1], "each trial is retried once"
    assert set(trials.status) == {"failed"}
    assert trials.error.str.contains("checkpoints").all()
    assert store.runs().spent.item() == 2, "in trials, retries are free"


def test_bad_input_is_refused_before_anything_is_written(cache, tmp_path):
    with pytest.raises(InputError, match="did you mean 'stochastic'"):
        tune_kd.run("stochastik", store=tmp_path / "runs", cache=cache)
    assert not (tmp_path / "runs").exists()
