"""A listener that logs to MLflow: a run for each of ours, and below it one for each trial; an experiment a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from tune_kd.events import EpochReport, Event, TrialEnded, TrialStarted
from tune_kd.progress.base import Progress
from tune_kd.progress.logs import scalars

if TYPE_CHECKING:
    from tune_kd.budget.ledger import Ledger
    from tune_kd.planning.plan import RunPlan

OURS = "tune_kd.id"  # the tag that has the id of our run or trial
STATUSES = {"completed": "FINISHED", "stopped": "KILLED"}  # what is neither has failed


class MlflowLog(Progress):
    """Logs to the tracking server, file or data base at ``uri``. What is resumed goes on in the runs it had."""

    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)
        self._runs: dict[str, tuple[str, str]] = {}  # by our id of a run: its experiment, and its id there
        self._trials: dict[str, tuple[TrialStarted, str]] = {}
        self._epoch: dict[str, int] = {}

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        name = f"tune-kd {plan.scenario.name}"
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        run_id = self._run(experiment, plan.run_id, f"{plan.label} r{plan.replicate}", {})
        self._runs[plan.run_id] = experiment, run_id
        given = {"policy": plan.label, "replicate": plan.replicate, "seed": plan.seed, "budget": plan.budget_text}
        self._params(run_id, {**given, "track": plan.track, "space": plan.space.name, "study": plan.study_id})

    def event(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            experiment, parent = self._runs[event.run_id]
            name = f"trial {event.index + 1}"
            run_id = self._run(experiment, event.trial_id, name, {MLFLOW_PARENT_RUN_ID: parent})
            self._trials[event.trial_id] = event, run_id
            self._params(run_id, {**event.params, "seed": event.seed})
        if event.trial_id not in self._trials:  # of a trial that an earlier driver trained
            return
        started, run_id = self._trials[event.trial_id]
        if isinstance(event, EpochReport):
            self._epoch[event.trial_id] = event.epoch
        at_ms, step = round(1000 * event.at.timestamp()), self._epoch.get(event.trial_id, 0)
        if found := scalars(event, started.metric):
            self._client.log_batch(run_id, [Metric(name, value, at_ms, step) for name, value in found.items()])
        if isinstance(event, TrialEnded):
            self._client.set_terminated(run_id, STATUSES.get(event.status, "FAILED"), at_ms)

    def run_ended(self, plan: RunPlan, status: str) -> None:
        self._client.set_terminated(self._runs[plan.run_id][1], STATUSES.get(status, "FAILED"))

    def _run(self, experiment: str, ours: str, name: str, tags: Mapping[str, str]) -> str:
        """The id of the run that stands for ``ours``, made if there is none."""
        found = self._client.search_runs([experiment], f"tags.`{OURS}` = '{ours}'", max_results=1)
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        made = self._client.create_run(experiment, tags={**tags, OURS: ours}, run_name=name)
        return str(made.info.run_id)

    def _params(self, run_id: str, values: Mapping[str, object]) -> None:
        self._client.log_batch(run_id, params=[Param(name, str(value)) for name, value in values.items()])
