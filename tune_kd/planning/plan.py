"""What a command is going to do, validated before anything starts: a study and its runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from policies import Policy
from policies.base import Temperature
from search_spaces import Space
from tune_kd.budget.amount import EQUIVALENT, Budget
from tune_kd.config import catalogue, policy_file
from tune_kd.config.keywords import from_keywords
from tune_kd.config.scenario import Scenario
from tune_kd.config.seeds import replicate_seed
from tune_kd.errors import InputError
from tune_kd.events import utc_now
from tune_kd.planning.first_checks import check_data, first_checks
from tune_kd.planning.looks import PLAIN, Deciding, Looks
from tune_kd.planning.plan_options import Planning
from tune_kd.store.ids import new_study_id, run_id
from tune_kd.tasks.catalogue import task_of
from tune_kd.training import quantized
from tune_kd.training.teacher_weights import read_weights


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One policy, one scenario, one budget, one replicate seed."""

    run_id: str
    study_id: str
    scenario: Scenario
    space: Space
    policy: Policy
    label: str  # the policy as it was named, options and all
    budget: Budget
    track: str
    replicate: int
    seed: int
    study_seed: int  # what the seeds of all replicates come from
    budget_text: str  # the budget as it was asked for
    planned_replicates: int | None  # of the study, by the plan that this run is in; None: not recorded
    looks: Looks | None = None  # of a comparison that stops once it is decided
    target_accuracy: float | None = None  # of the target track

    @property
    def max_trials(self) -> int | None:
        """The recipe track runs each policy at its native number of trials; other tracks only have the budget."""
        return self.policy.native_trials(self.space) if self.track == "recipe" else None

    @property
    def trials_at_most(self) -> int | None:
        """How many trials there can be, where that is known beforehand."""
        limits = [self.max_trials, int(self.budget.limit) if self.budget.currency == "trials" else None]
        return min((limit for limit in limits if limit is not None), default=None)

    def temperature(self) -> Temperature:
        """As a trial may have it, for what can be asked of it beforehand."""
        params = {"tau": self.space.tau.low, **self.policy.restart_params(self.space)}
        return self.policy.temperature(params, self.seed)


@dataclass(frozen=True, kw_only=True)
class Study:
    """The runs of one command, in the order in which they are run."""

    study_id: str
    name: str
    runs: tuple[RunPlan, ...]

    @property
    def scenario(self) -> Scenario:
        return self.runs[0].scenario

    @property
    def looks(self) -> Looks | None:
        """When it is looked at; None for a study that was planned with all of its replicates."""
        return self.runs[0].looks

    @property
    def needs_calibration(self) -> bool:
        """Is the budget so many times a trial's energy, which has to be measured first?"""
        return self.runs[0].budget.currency == EQUIVALENT

    def calibrated(self, trial_energy_j: float) -> Study:
        """The same study with such a budget in joules."""
        runs = (replace(plan, budget=plan.budget.measured(trial_energy_j)) for plan in self.runs)
        return replace(self, runs=tuple(runs))


@from_keywords
def plan_study(*, policies: Sequence[str], planning: Planning, deciding: Deciding = PLAIN, name: str = "run") -> Study:
    """Everything that a command will run, all of its input checked. Raises InputError in one line.

    Of a comparison that stops once it is decided it is what comes before the first look.
    """
    if isinstance(policies, str):
        raise InputError(f"policies must be a list of names, got the text {policies!r}")
    given, where, limit = first_checks(policies, planning, deciding)
    chosen = _settled(given)
    if chosen.quantization is not None:
        _check_quantizable(planning)
    made = _distinct(policies)
    for label, policy in made:
        _check_pair(label, policy, where, anchors=task_of(chosen).anchors)
        _check_images(label, policy, where, chosen)
        if chosen.quantization is not None and policy.scheduler() is not None:
            raise InputError(
                f"policy {label!r} stops trials early, most of them before they are quantized; leave out --quantize, "
                f"or take a policy that stops none, such as grid or tpe"
            )
    if "alpha" in planning.fields() and all(_searches_alpha(policy, where) for _, policy in made):
        raise InputError(
            f"space {where.name!r} searches α, so that the given one, {chosen.alpha:g}, would be used by no trial; "
            f"leave it out, or use --space tau"
        )
    study_id = new_study_id(utc_now())
    looks = deciding.looks([label for label, _ in made])
    replicates = planning.replicates if looks is None else looks.replicates[0]
    runs = tuple(
        RunPlan(
            run_id=run_id(study_id, label, replicate),
            study_id=study_id,
            scenario=chosen,
            space=where,
            policy=policy,
            label=label,
            budget=limit,
            track=planning.track,
            replicate=replicate,
            seed=replicate_seed(planning.seed, replicate),
            study_seed=planning.seed,
            budget_text=planning.budget,
            planned_replicates=replicates,
            looks=looks,
            target_accuracy=planning.target_accuracy,
        )
        for replicate in range(replicates)
        for label, policy in made
    )
    return Study(study_id=study_id, name=name, runs=runs)


def _settled(scenario: Scenario) -> Scenario:
    """The scenario as it is run, its networks, data and weights looked at. Raises InputError."""
    task = task_of(scenario)
    task.check(scenario)
    if scenario.teacher_checkpoint is not None:
        read_weights(scenario.teacher_checkpoint)
        scenario = scenario.changed({"teacher_checkpoint": str(Path(scenario.teacher_checkpoint).resolve())})
    check_data(scenario, task.data_names)
    return scenario.settled()


def _distinct(labels: Sequence[str]) -> list[tuple[str, Policy]]:
    """Each policy once, under the first of its names."""
    made: dict[str, tuple[str, Policy]] = {}
    for label in labels:
        policy = catalogue.make_policy(label)
        label = policy_file.label(type(policy), label)
        made.setdefault(catalogue.policy_record(policy), (label, policy))
    ids = [run_id("", label, 0) for label, _ in made.values()]
    for label, _ in made.values():
        if ids.count(run_id("", label, 0)) > 1:
            raise InputError(f"two different policies are called {label}; give the class of one another name = …")
    return list(made.values())


def _check_pair(label: str, policy: Policy, space: Space, *, anchors: bool) -> None:
    """Can this policy work in this space, and with such logits, at all? Asked before Ray starts."""
    with policy_file.explained():
        try:
            policy.native_trials(space)
            policy.temperature({"tau": space.tau.low, **policy.restart_params(space)}, seed=0)
        except ValueError as error:
            raise InputError(f"policy {label!r} in space {space.name!r}: {error}") from error
    policy_file.rehearse(policy, space, anchors=anchors)


def _searches_alpha(policy: Policy, space: Space) -> bool:
    """Does each trial get an α from the policy's searcher? Policies that move τ within a trial leave it as it is."""
    with policy_file.explained():
        return "alpha" in space.dimensions and "alpha" in (policy.searcher(space, 0).suggest("rehearsal") or ())


def _check_images(label: str, policy: Policy, space: Space, scenario: Scenario) -> None:
    """Refuse a policy that holds training images out where they are only made while the student is trained."""
    if scenario.synthesis is None or not scenario.synthesis.reads_student:
        return
    held_out = policy.temperature({"tau": space.tau.low, **policy.restart_params(space)}, seed=0).held_out
    if held_out:
        method = scenario.synthesis.method.replace("-", "_")
        raise InputError(
            f"policy {label!r} holds {held_out:.0%} of the training images out before the first epoch, and with "
            f"synthesis.{method}.adversarial they are made while the student is trained; leave one of them out"
        )


def _check_quantizable(planning: Planning) -> None:
    """Raises InputError where a package is missing, or where trials are stopped once they are good enough."""
    quantized.check_installed()
    if planning.track == "target":
        raise InputError(
            "track 'target' stops a trial once it is good enough, mostly before it is quantized; take track 'budget'"
        )


def space_record(space: Space) -> str:
    """A space as the JSON text that a record keeps."""
    return json.dumps(space.to_dict())
