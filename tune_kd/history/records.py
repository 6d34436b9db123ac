"""Rows of the tables ``runs`` and ``nodes``: the only module that fills their columns while a study is run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from policies import Policy
from search_spaces import Space
from tune_kd.budget.amount import Budget
from tune_kd.budget.cost import Cost, recorded_cost
from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.code import code
from tune_kd.cluster.machine import added_up
from tune_kd.cluster.session import Resources
from tune_kd.config import catalogue
from tune_kd.config.scenario import Scenario, from_record, scenario_sha256, to_record
from tune_kd.errors import unknown
from tune_kd.events import utc_now
from tune_kd.meter.carbon import Carbon
from tune_kd.planning.looks import Looks
from tune_kd.planning.plan import RunPlan, Study, space_record
from tune_kd.store import Store
from tune_kd.store.columns import ACCURACIES, ACCURACY
from tune_kd.store.reading.plain_rows import plain_rows
from tune_kd.synthesis.pool import synthetic_validation
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.teacher import Teacher


@dataclass
class RunRow:
    """A run's row of the table ``runs``: made with the plan, and written to the store at every step of the run.

    ``columns`` are plain values by the column's name, None for null. A resumed run begins with its recorded row.
    """

    columns: dict[str, Any]

    @classmethod
    def planned(cls, study: Study, plan: RunPlan, data: Data) -> RunRow:
        """The row of a run before it starts. It is not written yet."""
        return cls(
            {
                "run_id": plan.run_id,
                "study": study.name,
                "study_id": study.study_id,
                "scenario": plan.scenario.name,
                "scenario_json": to_record(plan.scenario),
                "scenario_sha256": scenario_sha256(plan.scenario),
                "task": plan.scenario.task,
                "metric": task_of(plan.scenario).metric,
                "equivalence_margin": plan.scenario.equivalence_margin,
                "policy": plan.label,
                "policy_json": catalogue.policy_record(plan.policy),
                "policy_sha256": catalogue.policy_sha256(plan.policy),
                "space": plan.space.name,
                "space_json": space_record(plan.space),
                "replicate": plan.replicate,
                "seed": plan.seed,
                "study_seed": plan.study_seed,
                "track": plan.track,
                "budget_currency": plan.budget.currency,
                "budget_limit": plan.budget.limit,
                "budget_text": plan.budget_text,
                "trials_at_most": plan.trials_at_most,
                "trial_epochs": plan.scenario.trial_epochs,
                "planned_replicates": plan.planned_replicates,
                "looks_json": None if plan.looks is None else plan.looks.record(),
                "target_accuracy": plan.target_accuracy,
                **_of_data(data, plan.scenario),
                "status": "planned",
                **code(),
            }
        )

    def write(self, store: Store) -> None:
        """Put the row into the store, in place of the one before. Raises StoreError."""
        store.write_run(self.columns)

    def start(self, store: Store, teacher: Teacher | None, resources: Resources, carbon: Carbon) -> None:
        """The run starts or is resumed: it is ``running``. Without a teacher the teacher's columns stay null."""
        self._fill(
            store,
            **({} if teacher is None else _of_teacher(teacher, self.scenario, carbon)),
            cpus_per_trial=resources.cpus,
            gpus_per_trial=resources.gpus,
            started_at=self.columns.get("started_at") or utc_now(),
            ended_at=None,
            error=None,
            status="running",
        )

    def share(self, store: Store, cost: Cost) -> None:
        """The run was charged ``cost`` for teacher outputs that its trials share; the columns stay null without any."""
        self._fill(store, **(cost.columns("shared") if cost.flops else {}))

    def pool(self, store: Store, columns: Mapping[str, Any]) -> None:
        """The run is trained on a pool of synthesised images: its columns, those named ``pool_…``."""
        self._fill(store, **columns)

    def end(self, store: Store, ledger: Ledger, status: str, error: str | None, metered_j: float | None) -> None:
        """The run is over: what it spent, in the budget's currency, and how it ended.

        ``metered_j`` is what its nodes' meters have counted for it, None where that is not known.
        """
        self._fill(
            store,
            spent=ledger.spent,
            overshoot=ledger.overshoot,
            energy_unmatched_j=self._unmatched_j(store, metered_j),
            ended_at=utc_now(),
            status=status,
            error=error,
        )

    def _unmatched_j(self, store: Store, metered_j: float | None) -> float | None:
        """The energy in its records beyond ``metered_j``: of a driver that was killed, or metered for another run."""
        spent = store.trials(["energy_j", "energy_test_j", "epochs", "test_score"], run_ids=[self.run_id])
        unknown = spent["energy_j"].isna() & (spent["epochs"] > 0)
        untold = spent["energy_test_j"].isna() & spent["test_score"].notna()
        if metered_j is None or unknown.any() or untold.any():
            return None
        parts = [cost for what in ("shared", "pool") if (cost := recorded_cost(self.columns, what)) is not None]
        if any(cost.energy_j is None for cost in parts):
            return None
        trials_j = spent["energy_j"].sum() + spent["energy_test_j"].sum()
        return float(trials_j + sum(cost.energy_j or 0.0 for cost in parts) - metered_j)

    def force(self, changes: str | None) -> None:
        """Note what differs from the recorded study and was accepted. It is written with the next step."""
        self.columns["forced_changes"] = changes

    def _fill(self, store: Store, **columns: Any) -> None:
        self.columns = {**self.columns, **columns}
        self.write(store)

    @property
    def run_id(self) -> str:
        return str(self.columns["run_id"])

    @property
    def study_id(self) -> str:
        return str(self.columns["study_id"])

    @property
    def study_name(self) -> str:
        return str(self.columns["study"])

    @property
    def forced_changes(self) -> str | None:
        """What :meth:`force` noted."""
        return self.columns.get("forced_changes")

    @property
    def has_begun(self) -> bool:
        """Was the run ever started?"""
        return self.columns.get("started_at") is not None

    @property
    def teacher_id(self) -> str | None:
        """The teacher that the run started with; None if it has not started, or asks none."""
        return self.columns.get("teacher_id")

    @property
    def shared_cost(self) -> Cost | None:
        """What :meth:`share` charged; None if nothing was shared yet."""
        return recorded_cost(self.columns, "shared")

    @property
    def pool_id(self) -> str | None:
        """The pool of synthesised images that the run's trials share; None if they share none, or none is there yet."""
        return self.columns.get("pool_id")

    @property
    def reserved(self) -> Resources:
        """What each trial reserved; one CPU if the record does not say."""
        return Resources(cpus=self.columns["cpus_per_trial"] or 1.0, gpus=self.columns["gpus_per_trial"] or 0.0)

    @property
    def scenario(self) -> Scenario:
        return from_record(self.columns["scenario_json"])

    @property
    def policy(self) -> Policy:
        return catalogue.policy_from_record(self.columns["policy_json"])

    @property
    def seed(self) -> int:
        """The replicate's seed."""
        return int(self.columns["seed"])

    def plan(self) -> RunPlan:
        """The run as it was planned: the inverse of :meth:`planned`."""
        columns = self.columns
        return RunPlan(
            run_id=self.run_id,
            study_id=columns["study_id"],
            scenario=self.scenario,
            space=Space.from_dict(columns["space"], json.loads(columns["space_json"])),
            policy=self.policy,
            label=columns["policy"],
            budget=Budget(currency=columns["budget_currency"], limit=columns["budget_limit"]),
            track=columns["track"],
            replicate=int(columns["replicate"]),
            seed=self.seed,
            study_seed=int(columns["study_seed"]),
            budget_text=columns["budget_text"],
            planned_replicates=columns.get("planned_replicates"),
            looks=None if (looks := columns.get("looks_json")) is None else Looks.from_record(looks),
            target_accuracy=columns["target_accuracy"],
        )

    def changes(self, data: Data, teacher_id: str | None) -> dict[str, str]:
        """What is not as recorded, here and now: by column a line with both values.

        Compared are the data, the policy's source, the code and, unless None, the teacher.
        """
        here = {
            "split_sha256": data.split_sha256,
            "policy_sha256": catalogue.policy_sha256(self.policy, now=True),
            **code(),
            **({} if teacher_id is None else {"teacher_id": teacher_id}),
        }
        then = {name: self.columns.get(name) for name in here}
        return {name: f"{name}: {then[name]} then, {now} now" for name, now in here.items() if then[name] != now}


class NodeRows:
    """A run's rows of ``nodes``: what a meter counts now is added to what earlier drivers of the run recorded."""

    def __init__(self, store: Store, run_id: str, *, new: bool = False) -> None:
        """A ``new`` run has no rows yet, and the store is not read for them."""
        self._store, self._run_id = store, run_id
        self._rows: list[dict[str, Any]] = []
        self._before = [] if new else plain_rows(store.nodes(run_ids=[run_id]))

    def write(self, now: Iterable[dict[str, Any]]) -> None:
        """Write the rows; ``now`` are those of this driver's nodes."""
        self._rows = added_up(self._before, now)
        self._store.write_nodes(self._run_id, self._rows)

    @property
    def metered_j(self) -> float | None:
        """What the nodes have counted for the run's trials; None where no node has.

        Those of a driver that was killed are in the rows without what they had counted.
        """
        known = [float(joules) for row in self._rows if (joules := row.get("energy_trials_j")) is not None]
        return math.fsum(known) if known else None


def plan_rows(study: Study, data: Data, store: Store) -> dict[str, RunRow]:
    """Write the whole plan before anything of it is run; the rows by run id."""
    rows = {plan.run_id: RunRow.planned(study, plan, data) for plan in study.runs}
    for row in rows.values():
        row.write(store)
    return rows


def run_row(store: Store, run_id: str) -> RunRow:
    """The recorded row of a run. Raises InputError for one that is not there."""
    rows = run_rows(store.runs(run_ids=[run_id]))
    if not rows:
        raise unknown("run", run_id, store.runs(["run_id"]).run_id)
    return rows[0]


def run_rows(runs: pd.DataFrame) -> list[RunRow]:
    """The rows of a frame of the table ``runs``, all columns."""
    return [RunRow(columns) for columns in plain_rows(runs)]


def largest_class(data: Data, scenario: Scenario) -> tuple[float, int] | None:
    """The share of the largest class among the validation images, a fraction, and the number of these.

    The share is the accuracy of always naming that class. None where the metric is another one, or where validation is
    synthetic: nothing is known then.
    """
    if task_of(scenario).metric != ACCURACY or synthetic_validation(scenario):
        return None
    labels = data.validation.labels
    return float(np.bincount(labels).max() / len(labels)), len(labels)


def _of_data(data: Data, scenario: Scenario) -> Mapping[str, Any]:
    largest, task = largest_class(data, scenario), task_of(scenario)
    # A user's own images are not put into a store that may be shared.
    examples = task.examples(data, pictures=scenario.data in task.data_names)
    return {
        "split_sha256": data.split_sha256,
        "val_images": synthetic_validation(scenario) or len(data.validation),
        "val_prevalence": None if largest is None else largest[0],
        "examples_json": None if examples is None else json.dumps(examples, ensure_ascii=False),
        "skipped_images": data.skipped_images,
        "left_out_json": json.dumps(data.left_out, ensure_ascii=False, sort_keys=True),
    }


def _of_teacher(teacher: Teacher, scenario: Scenario, carbon: Carbon) -> Mapping[str, Any]:
    return {
        "teacher_id": teacher.teacher_id,
        "teacher_energy_j": teacher.energy_j,
        "teacher_energy_own_pace_j": teacher.energy_own_pace_j,
        "teacher_co2e_g": carbon.co2e_g(teacher.energy_j),
        "teacher_flops": teacher.flops,
        "teacher_duration_s": teacher.duration_s,
        "teacher_test_metrics_json": json.dumps(teacher.test_metrics, sort_keys=True) if teacher.test_metrics else None,
        **_scores(teacher, scenario),
    }


def _scores(teacher: Teacher, scenario: Scenario) -> Mapping[str, Any]:
    """The teacher's scores, and if the task's metric is the accuracy, under that name, too."""
    scores = {"teacher_val_score": teacher.val_score, "teacher_test_score": teacher.test_score}
    named = {ACCURACIES[name]: score for name, score in scores.items()}
    return {**scores, **named} if task_of(scenario).metric == ACCURACY else scores
