"""What a study is going to cost, before anything is spent: from the mean fixed-τ trial of the same scenario."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from policies import Policy
from tune_kd.budget import EQUIVALENT, Budget
from tune_kd.plan import RunPlan, Study
from tune_kd.records import scenario_sha256
from tune_kd.scenario import Scenario
from tune_kd.store import Store


@dataclass(frozen=True, kw_only=True)
class TrialCost:
    """What one whole trial with a constant τ costs on average. Base units; None where it was not measured."""

    epochs: int
    energy_j: float | None = None
    co2e_g: float | None = None
    duration_s: float | None = None
    flops: float | None = None
    trials: int  # that it is the mean of
    source: str

    def within(self, budget: Budget) -> float | None:
        """How many such trials fit into a budget; None where its currency was not measured."""
        each = {
            "trials": 1,
            EQUIVALENT: 1,
            "epochs": self.epochs,
            "flops": self.flops,
            "joules": self.energy_j,
            "gco2e": self.co2e_g,
            "seconds": self.duration_s,
        }[budget.currency]
        return None if not each else budget.limit / each


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One policy of a study: what its runs are expected to need in all. None: unknown."""

    label: str
    runs: int
    trials: float | None  # of each run
    duration_s: float | None  # trials one after another: divide by how many run at a time
    energy_j: float | None
    co2e_g: float | None
    at_most: bool  # does the policy, or the track, stop before that where it can?


def trial_cost(store: Store, scenario: Scenario) -> TrialCost | None:
    """The mean completed fixed-τ trial of this scenario in an earlier store; None where there is none.

    Trials that were tried again are left out: their last attempt is no whole trial.
    """
    runs, trials = store.runs(), store.trials()
    same = runs[runs.scenario_sha256 == scenario_sha256(scenario)].run_id
    whole = trials[
        trials.run_id.isin(same) & trials.tau.notna() & (trials.status == "completed") & (trials.attempt == 0)
    ]
    if whole.empty:
        return None
    return TrialCost(
        epochs=scenario.recipe.epochs,
        energy_j=_mean(whole.energy_j),
        co2e_g=_mean(whole.co2e_g),
        duration_s=_mean(whole.duration_s),
        flops=_mean(whole.flops_executed),
        trials=len(whole),
        source=f"mean of {len(whole)} fixed-τ trials in {store.location}",
    )


def forecast(study: Study, cost: TrialCost | None) -> list[Forecast]:
    """One row a policy, in the order of the study; ``cost`` None leaves unknown what only a trial can tell."""
    by_policy: dict[str, list[RunPlan]] = {}
    for plan in study.runs:
        by_policy.setdefault(plan.label, []).append(plan)
    known = cost or TrialCost(epochs=study.scenario.recipe.epochs, trials=0, source="nothing was measured")
    return [_row(plans, known) for plans in by_policy.values()]


def expected_trials(plan: RunPlan, cost: TrialCost) -> float | None:
    """How many whole trials one run of a plan is going to need; a fraction where the budget ends within one."""
    limits = [cost.within(plan.budget), plan.max_trials, _levels(plan.policy, plan)]
    return min((float(limit) for limit in limits if limit is not None), default=None)


def _levels(policy: Policy, plan: RunPlan) -> int | None:
    """After how many trials a search is over by itself: those that restart never are."""
    restarts = type(policy).searcher is Policy.searcher
    return None if restarts else policy.native_trials(plan.space)


def _row(plans: list[RunPlan], cost: TrialCost) -> Forecast:
    plan, runs = plans[0], len(plans)
    trials = expected_trials(plan, cost)

    def total(each: float | None) -> float | None:
        return None if trials is None or each is None else runs * trials * each

    return Forecast(
        label=plan.label,
        runs=runs,
        trials=trials,
        duration_s=total(cost.duration_s),
        energy_j=total(cost.energy_j),
        co2e_g=total(cost.co2e_g),
        at_most=plan.track == "target" or plan.policy.scheduler() is not None,
    )


def _mean(values: pd.Series) -> float | None:
    """The mean, None where one is missing: a mean over what happens to be measured is of something else."""
    return None if values.isna().any() else float(values.mean())
