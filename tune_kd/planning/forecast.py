"""What a study is going to cost, before anything is spent: from the mean fixed-τ trial of the same scenario."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from policies import Policy
from tune_kd.budget.amount import EQUIVALENT, Budget
from tune_kd.budget.cost import Cost
from tune_kd.config.scenario import Scenario, scenario_sha256
from tune_kd.planning.plan import RunPlan, Study
from tune_kd.planning.side_by_side import may_be_several
from tune_kd.planning.teacher_sharing import pays
from tune_kd.store import Store

NOTHING = Cost()


@dataclass(frozen=True, kw_only=True)
class TrialCost:
    """What one whole trial with a constant τ costs on average. Base units; None where it was not measured.

    ``shared`` is what its run paid once for the teacher's outputs, beside the trial's own cost: a trial that asks the
    teacher itself costs both.
    """

    epochs: int
    energy_j: float | None = None
    co2e_g: float | None = None
    duration_s: float | None = None
    flops: float | None = None
    shared: Cost = NOTHING
    trials: int  # that it is the mean of
    source: str

    def within(self, budget: Budget, *, sharing: bool) -> float | None:
        """How many such trials fit into a budget; None where its currency was not measured."""
        each, once = {
            "trials": (1, 0),
            EQUIVALENT: (1, 0),
            "epochs": (self.epochs, 0),
            "flops": (self.flops, self.shared.flops),
            "joules": (self.energy_j, self.shared.energy_j),
            "gco2e": (self.co2e_g, self.shared.co2e_g),
            "seconds": (self.duration_s, self.shared.duration_s),
        }[budget.currency]
        if not each or once is None:
            return None
        if sharing and once <= budget.limit / 2:  # beyond that a run breaks the teacher's pass off
            return (budget.limit - once) / each
        return budget.limit / (each + once)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One policy of a study: what its runs are expected to need in all. None: unknown."""

    label: str
    runs: int
    runs_at_most: bool  # may a verdict at an early look leave some of them out?
    trials: float | None  # of each run
    duration_s: float | None  # trials one after another: divide by how many run at a time
    energy_j: float | None
    co2e_g: float | None
    at_most: bool  # does the policy, or the track, stop before that where it can?


def trial_cost(store: Store, scenario: Scenario, *, several: bool = False) -> TrialCost | None:
    """The mean completed fixed-τ trial of this scenario in an earlier store; None where there is none.

    It is one of those that were trained alone, or, where ``several`` are asked for, of those side by side: their costs
    say nothing of each other. Trials that were tried again are left out: their last attempt is no whole trial.
    """
    runs = store.runs()
    runs = runs[runs.scenario_sha256 == scenario_sha256(scenario)]
    trials = store.trials(run_ids=list(runs.run_id))
    asked_for = (trials.side_by_side.fillna(1) > 1) == several
    whole = trials[trials.tau.notna() & (trials.status == "completed") & (trials.attempt == 0) & asked_for]
    if whole.empty:
        return None
    paid = runs.set_index("run_id").loc[whole.run_id, list(NOTHING.columns("shared"))]
    shared = paid.where(paid.shared_flops.notna(), 0.0)  # a run that shares nothing has no cost of sharing
    return TrialCost(
        epochs=scenario.trial_epochs,
        energy_j=_mean(whole.energy_j),
        co2e_g=_mean(whole.co2e_g),
        duration_s=_mean(whole.duration_s),
        flops=_mean(whole.flops_executed),
        shared=Cost(
            flops=round(shared.shared_flops.mean()),
            duration_s=float(shared.shared_s.mean()),
            energy_j=_mean(shared.shared_energy_j),
            co2e_g=_mean(shared.shared_co2e_g),
        ),
        trials=len(whole),
        source=f"mean of {len(whole)} fixed-τ trials{_company(whole)} in {store.location}",
    )


def _company(trials: pd.DataFrame) -> str:
    """How many of them were side by side, in the mean; '' for trials alone."""
    several = trials.side_by_side.fillna(1).mean()
    return f", {several:.3g} side by side," if several > 1 else ""


def unmeasured(scenario: Scenario) -> TrialCost:
    """A trial of which nothing but its epochs is known."""
    return TrialCost(epochs=scenario.trial_epochs, trials=0, source="nothing was measured")


def forecast(study: Study, cost: TrialCost | None, beside: TrialCost | None = None) -> list[Forecast]:
    """One row a policy, in the order of the study; ``cost`` None leaves unknown what only a trial can tell.

    Where trials are to be trained side by side, ``beside`` is the cost of one that is, for the policies that it is for.
    """
    by_policy: dict[str, list[RunPlan]] = {}
    for plan in study.runs:
        by_policy.setdefault(plan.label, []).append(plan)
    alone = cost or unmeasured(study.scenario)
    return [_row(plans, beside if beside and may_be_several(plans[0]) else alone) for plans in by_policy.values()]


def expected_trials(plan: RunPlan, cost: TrialCost) -> float | None:
    """How many whole trials one run of a plan is going to need; a fraction where the budget ends within one."""
    limits = [cost.within(plan.budget, sharing=pays(plan)), plan.max_trials, _levels(plan.policy, plan)]
    return min((float(limit) for limit in limits if limit is not None), default=None)


def _levels(policy: Policy, plan: RunPlan) -> int | None:
    """After how many trials a search is over by itself: those that restart never are."""
    restarts = type(policy).searcher is Policy.searcher
    return None if restarts else policy.native_trials(plan.space)


def _row(plans: list[RunPlan], cost: TrialCost) -> Forecast:
    plan, looks = plans[0], plans[0].looks
    runs = len(plans) if looks is None else looks.replicates[-1]
    trials = expected_trials(plan, cost)

    def total(each: float | None, once: float | None) -> float | None:
        if trials is None or each is None or once is None:
            return None
        return runs * (trials * each + (1 if pays(plan) else trials) * once)

    return Forecast(
        label=plan.label,
        runs=runs,
        runs_at_most=looks is not None and len(looks.replicates) > 1,
        trials=trials,
        duration_s=total(cost.duration_s, cost.shared.duration_s),
        energy_j=total(cost.energy_j, cost.shared.energy_j),
        co2e_g=total(cost.co2e_g, cost.shared.co2e_g),
        at_most=plan.track == "target" or plan.policy.scheduler() is not None,
    )


def _mean(values: pd.Series) -> float | None:
    """The mean, None where one is missing: a mean over what happens to be measured is of something else."""
    return None if values.isna().any() else float(values.mean())
