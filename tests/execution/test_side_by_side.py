"""Jobs of several trials, by the engine's own searcher and ledger, without Ray: who is in one, and what ends it."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from run_events import closed_account, report
from tune_simulator import CARBON

from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.worker import results_of_several
from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted, from_json, to_json
from tune_kd.execution.side_by_side import JobSize
from tune_kd.execution.trials import RunTrials
from tune_kd.history.run_history import RunHistory, history_of
from tune_kd.meter.energy import Energy
from tune_kd.planning.plan import RunPlan, plan_study
from tune_kd.planning.side_by_side import MOST, alone_because
from tune_kd.store import create_store
from tune_kd.training.stackable import PAYS, Stacking
from tune_kd.training.student import TrialSpec
from tune_kd.training.trial import Trial

EPOCHS = 5
BUDGETS = {
    "trials": "9trials",
    "epochs": "43epochs",
    "flops": "430flops",
    "joules": "430J",
    "gco2e": "430g",
    "seconds": "430s",
}
TRIED = Stacking(gain=2.0)


def plan_of(policy: str, budget: str = "20trials", track: str = "budget", **asked: Any) -> RunPlan:
    settings = {"recipe.epochs": EPOCHS, **asked.pop("settings", {})}
    return plan_study(policies=[policy], budget=budget, track=track, settings=settings, **asked).runs[0]


@dataclass
class Job:
    """A worker's job: its members, and how far each is at what cost."""

    tune_id: str
    config: dict[str, Any]
    epochs: dict[str, int] = field(default_factory=dict)
    costs: Counter[str] = field(default_factory=Counter)
    failures: int = 0

    def begin(self) -> None:
        self.epochs = {member["trial_id"]: member["reported"] for member in self.config["members"]}
        self.costs = Counter()

    @property
    def members(self) -> list[str]:
        return list(self.epochs)


class Simulated:
    """A run whose jobs have ``most`` trials at the most. An epoch costs each member of a job the same."""

    def __init__(self, plan: RunPlan, most: int, workers: int = 2, history: RunHistory | None = None) -> None:
        self.plan, self.most, self.workers = plan, most, workers
        self.random = random.Random(1)
        self.ledger = Ledger(budget=plan.budget, max_trials=plan.max_trials)
        history = history or RunHistory()
        for event in history.events:
            self.ledger(event)
        searcher = plan.policy.searcher(plan.space, plan.seed)
        history = history.replay_searcher(searcher)
        self.events: list[Event] = []
        self.trials = RunTrials(plan, searcher, self.ledger, CARBON, [self.ledger, self.events.append], history)
        self.jobs: list[Job] = []
        self.sizes: list[int] = []
        self.broken: set[str] = set()  # trials whose worker dies in their second epoch
        self.dearest = 0

    def run(self, most: float = float("inf")) -> None:
        while most > 0 and self._fill():
            self._advance(self.random.choice(self.jobs))
            most -= 1
        self.trials.abandon()

    def _fill(self) -> bool:
        while len(self.jobs) < self.workers:
            tune_id = f"tune-{len(self.sizes)}"
            config = self.trials.next(tune_id, self.most, self.workers)
            if config is None:
                break
            job = Job(tune_id, config)
            self.sizes.append(len(config["members"]))
            self.jobs.append(job)
            self.trials.started(tune_id)
            job.begin()
        return bool(self.jobs)

    def _advance(self, job: Job) -> None:
        behind = min(job.epochs.values())
        mine = [name for name in job.members if job.epochs[name] == behind]
        if behind == 1 and self.broken.intersection(mine):
            self._crash(job)
            return
        cost = self.random.randint(5, 15)
        self.dearest = max(self.dearest, 1 if self.plan.budget.currency == "epochs" else cost)
        told = []
        for member in job.config["members"]:
            if (name := member["trial_id"]) in mine:
                job.epochs[name] += 1
                job.costs[name] += cost
                made = report(name, member["attempt"], job.epochs[name], job.costs[name])
                told.append(to_json(replace(made, run_id=self.plan.run_id)))
        stop = self.trials.reported(job.tune_id, {"reports": told})
        if stop or min(job.epochs.values()) == EPOCHS:
            self.trials.reported(job.tune_id, {"reports": told})  # Tune gives a job's last result twice
            self._leave(job)
            self.trials.ended(job.tune_id)

    def _crash(self, job: Job) -> None:
        job.failures += 1
        again = job.failures <= 1
        if not again:
            self._leave(job)
        self.trials.ended(job.tune_id, "its worker died", again=again)
        if again:
            self._close(job)
            job.config.update(self.trials.next_attempt(job.tune_id))
            self.trials.started(job.tune_id)
            job.begin()

    def _leave(self, job: Job) -> None:
        self.jobs.remove(job)
        self._close(job)

    def _close(self, job: Job) -> None:
        """The meter closes the accounts of a job's attempts, with what each has had."""
        for member in job.config["members"]:
            name = member["trial_id"]
            self.events.append(
                replace(closed_account(name, member["attempt"], job.costs[name]), run_id=self.plan.run_id)
            )

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def statuses(self) -> Counter[str]:
        return Counter({event.trial_id: event.status for event in self.of(TrialEnded)}.values())


@pytest.mark.parametrize("currency", BUDGETS)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("policy", ["random", "stochastic"])
def test_a_budget_ends_the_members_of_a_job_as_it_would_end_them_alone(
    policy: str, currency: str, workers: int
) -> None:
    run = Simulated(plan_of(policy, BUDGETS[currency]), most=4, workers=workers)
    run.run()
    limit = run.plan.budget.limit
    spent = {"trials": len({event.trial_id for event in run.of(TrialStarted)}), "epochs": len(run.of(EpochReport))}
    last = {event.trial_id: event.flops_executed for event in run.of(EpochReport)}
    assert run.ledger.spent == spent.get(currency, sum(last.values()))
    assert run.ledger.spent > limit - run.dearest * 4, "less than an epoch of its members is left"
    assert run.ledger.overshoot <= run.dearest * 4 * workers, "an epoch of each trial that was running"
    assert run.statuses()["completed"] >= limit // EPOCHS // 2 if currency == "epochs" else True
    assert set(run.statuses()) <= {"completed", "stopped"}


def test_a_budget_is_spent_on_whole_trials_and_not_on_the_beginnings_of_many() -> None:
    run = Simulated(plan_of("random", "43epochs"), most=20, workers=1)
    run.run()
    assert run.sizes[0] == 43 // EPOCHS
    assert run.statuses()["completed"] == 43 // EPOCHS
    joules = Simulated(plan_of("random", "430J"), most=20, workers=1)
    joules.run()
    assert joules.sizes[0] == 1, "the first trial shows what one costs"
    assert max(joules.sizes) > 1
    assert joules.statuses()["stopped"] <= 2


def test_trials_are_those_of_the_search_in_their_order_whatever_the_size_of_a_job() -> None:
    found = []
    for most in (1, 4, 19):
        run = Simulated(plan_of("grid", track="recipe"), most=most)
        run.run()
        found.append({(event.index, event.params["tau"], event.seed) for event in run.of(TrialStarted)})
        assert sum(run.sizes) == 19
        assert max(run.sizes) == most
        assert {event.side_by_side for event in run.of(TrialStarted)} == set(run.sizes)
    assert found[0] == found[1] == found[2]


def test_a_job_that_fails_for_good_is_taken_apart_and_one_trial_alone_fails() -> None:
    run = Simulated(plan_of("grid", "6trials"), most=3, workers=1)
    run.broken = {f"{run.plan.run_id}-0001"}
    run.run()
    assert run.sizes[0] == 3
    assert run.sizes.count(1) == 3, "the three of the first job, alone"
    assert run.statuses() == {"completed": 5, "failed": 1}
    ends = {event.trial_id: event for event in run.of(TrialEnded)}
    assert ends[f"{run.plan.run_id}-0001"].status == "failed"
    attempts = Counter(event.trial_id for event in run.of(TrialStarted))
    assert attempts[f"{run.plan.run_id}-0000"] == 3, "twice with the one that broke, and once alone"
    assert run.trials.over
    assert run.trials.verdict() == ("completed", None)


def test_a_resumed_run_tries_again_what_failed_side_by_side(tmp_path: Path) -> None:
    plan = plan_of("grid", "6trials")
    first = Simulated(plan, most=3, workers=1)
    first.broken = {f"{plan.run_id}-0001"}
    first.run(most=4)  # two attempts at the first job, and its driver dies
    store = create_store(tmp_path / "runs")
    for key in dict.fromkeys((event.trial_id, event.attempt) for event in first.events):
        journal = store.journal(plan.run_id, *key)
        for event in first.events:
            if (event.trial_id, event.attempt) == key:
                journal.append(event)
        store.seal(plan.run_id, *key)
    second = Simulated(plan, most=2, workers=1, history=history_of(store, plan.run_id, max_failures=1))
    second.run()
    assert {event.status for event in second.of(TrialEnded)} == {"completed"}
    assert len({event.trial_id for event in second.of(TrialStarted)}) == 6
    assert second.ledger.spent == 6


class Account:
    """The meter of a member: it notes when its account was closed."""

    co_tenants = 0

    def __init__(self, name: int, closed: list[int]) -> None:
        self._name, self._closed = name, closed

    def mark(self) -> Energy:
        return Energy()

    def close(self) -> None:
        self._closed.append(self._name)


def test_a_trial_that_had_ended_pays_no_more_and_those_that_end_together_pay_to_the_end(
    make_trial: Callable[..., Trial], tmp_path: Path
) -> None:
    for index, done in enumerate((3, 1, 0)):  # epochs, of three, of a first attempt
        list(itertools.islice(make_trial("grid", index=index, checkpoint=tmp_path / str(index)).fit(), done))

    def make(spec: TrialSpec, meter: Account, **beside: Any) -> Trial:
        made = make_trial("grid", index=spec.index, checkpoint=tmp_path / str(spec.index), **beside)
        made.spec = replace(made.spec, reported=made.epoch)
        return made

    closed: list[int] = []
    specs = [make_trial("grid", index=index).spec for index in range(3)]
    meter: Any = SimpleNamespace(members=[Account(index, closed) for index in range(3)])
    results = [
        ([from_json(line).epoch for line in result["reports"]], list(closed))  # type: ignore[union-attr]
        for result in results_of_several(specs, meter, make, torch.device("cpu"))
    ]
    assert results == [([1], []), ([2, 2], [0]), ([3, 3], [0])]
    assert closed == [0], "the job closes what is open at its end"


# How many


@pytest.mark.parametrize(
    ("policy", "asked", "why"),
    [
        ("grid", {}, None),
        ("random", {}, None),
        ("stochastic", {}, None),
        ("ctkd", {}, None),
        ("tpe", {}, "by the results of others"),
        ("asha", {}, "stops trials early"),
        ("meta-kd", {}, "holds images out"),
        ("grid", {"track": "target", "target_accuracy": 0.9}, "target"),
        ("grid", {"compile": True}, "compiled"),
        ("grid", {"quantize": True}, "quantized"),
        ("grid", {"scenario": "digits-data-free"}, "synthesised"),
        ("grid", {"scenario": "digit-scenes", "space": "tau-from-1"}, "detection"),
    ],
)
def test_what_must_be_trained_alone_is_and_a_word_says_why(policy: str, asked: dict[str, Any], why: str | None) -> None:
    plan = plan_of(policy, **asked)
    reason = alone_because(plan)
    assert (reason is None) if why is None else (why in (reason or ""))
    many = JobSize(asked=7, stacking=TRIED)
    assert many.most(plan, room=2) == (7 if why is None else 1)
    assert any(why in line for line in many.notes([plan])) if why else not many.notes([plan])


@pytest.mark.parametrize(
    ("asked", "stacking", "most"),
    [
        (1, TRIED, 1),
        (4, TRIED, 4),
        (4, Stacking(gain=0.5), 4),  # whoever says a number gets it
        (4, Stacking(refused="dropout"), 1),
        (4, None, 1),
        (None, TRIED, 10),  # 19 levels on two workers
        (None, Stacking(gain=PAYS), 10),
        (None, Stacking(gain=0.99 * PAYS), 1),
        (None, Stacking(refused="dropout"), 1),
    ],
)
def test_as_many_as_asked_for_or_as_pays(asked: int | None, stacking: Stacking | None, most: int) -> None:
    side_by_side = JobSize(asked=asked, stacking=stacking)
    assert side_by_side.most(plan_of("grid", track="recipe"), room=2) == most
    assert side_by_side.most(plan_of("stochastic", track="recipe"), room=2) in (1, asked)
    [line] = side_by_side.notes([plan_of("grid")]) or [""]
    assert ("dropout" in line) == (stacking is not None and stacking.refused is not None)
    assert ("times as fast" in line) == (asked is None and stacking is not None and not stacking.refused)


def test_auto_takes_no_more_than_its_most_where_a_budget_does_not_say_how_many() -> None:
    assert JobSize(asked=None, stacking=TRIED).most(plan_of("random", "1Wh"), room=2) == MOST
