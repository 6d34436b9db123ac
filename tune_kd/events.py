"""The one stream of events of a run, which ledger, journal and progress consume.

Ray Tune is one source of it (``execution/tune.py``); a simulator can be another. All costs in an
:class:`EpochReport` are cumulative over its attempt, in base units (J, FLOP, s, g). ``None`` means
"not measured". Every event is plain data: :func:`to_json` and :func:`from_json` are inverse.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args


@dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """An attempt at a student training begins; the first event of its journal."""

    run_id: str
    trial_id: str
    attempt: int
    at: datetime
    index: int
    seed: int
    params: Mapping[str, float]
    tau: float | None  # None when τ moves within the trial
    alpha: float | None
    pue: float
    carbon_g_per_kwh: float
    carbon_source: str
    carbon_region: str | None = None  # older journals lack both
    carbon_year: int | None = None
    metric: str = "accuracy"  # what the scores of the attempt measure
    side_by_side: int | None = None  # trials that its process trains, itself included; older journals lack it


@dataclass(frozen=True, kw_only=True)
class Metered:
    """What the meter of its node has of an attempt, so far or in all. Older journals lack what follows co_tenants."""

    energy_j: float | None
    energy_cpu_j: float | None
    energy_gpu_j: float | None
    energy_ram_j: float | None
    energy_idle_j: float | None
    energy_method: str | None
    co2e_g: float | None
    co_tenants: int | None
    metered_s: float | None = None
    cpu_s: float | None = None
    cpu_wait_s: float | None = None
    cpu_wait_other_s: float | None = None
    cpu_other_s: float | None = None
    energy_own_pace_j: float | None = None
    own_pace_method: str | None = None


@dataclass(frozen=True, kw_only=True)
class EpochReport(Metered):
    """One epoch of one attempt, after its validation."""

    run_id: str
    trial_id: str
    attempt: int
    at: datetime
    epoch: int  # 1 is the first
    node_id: str
    train_loss: float
    val_loss: float
    val_score: float
    checkpoint_epoch: int  # the epoch whose weights the checkpoint rule chooses so far
    lr: float
    tau_mean: float | None
    tau_min: float | None
    tau_max: float | None
    flops_executed: int
    flops_teacher: int
    flops_forward: int
    flops_backward: int
    flops_eval: int
    flops_paper: int
    flops_uncounted_ops: str  # names of operators that were not counted, comma-separated
    duration_s: float
    train_s: float
    eval_s: float
    teacher_s: float
    other_s: float
    peak_memory_bytes: int | None
    flops_policy: int = 0
    flops_synthesis: int = 0
    synthesis_s: float = 0.0
    policy_parameters: int = 0
    checkpoint_val_score: float | None = None
    checkpoint_val_loss: float | None = None
    diverged_epoch: int | None = None  # the first epoch so far whose loss, outputs or weights were not finite

    @property
    def chosen_score(self) -> float | None:
        """Validation score of the checkpoint that is chosen so far, which an earlier attempt may have made.

        None in a report of an older version that chose another epoch than its own: see :func:`with_chosen`.
        """
        return self._chosen(self.checkpoint_val_score, self.val_score)

    @property
    def chosen_loss(self) -> float | None:
        """Validation loss of that checkpoint."""
        return self._chosen(self.checkpoint_val_loss, self.val_loss)

    def _chosen(self, said: float | None, own: float) -> float | None:
        return own if said is None and self.checkpoint_epoch == self.epoch else said


@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """An attempt is over: completed, stopped (by budget or scheduler) or failed.

    An attempt without a report found all epochs trained; its checkpoint is that of an earlier attempt.
    """

    run_id: str
    trial_id: str
    attempt: int
    at: datetime
    status: str
    error: str | None
    checkpoint_epoch: int | None = None
    val_score: float | None = None
    val_loss: float | None = None
    diverged_epoch: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrialMetered(Metered):
    """The closed energy account of an attempt. Energy used after its last report is included."""

    run_id: str
    trial_id: str
    attempt: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TrialTested:
    """The one reading of the test set, at the checkpoint that validation chose."""

    run_id: str
    trial_id: str
    attempt: int
    at: datetime
    test_score: float
    inference_s: float
    inference_energy_j: float | None
    inference_co2e_g: float | None
    energy_test_j: float | None
    # Of classification; other tasks leave them out.
    precision_macro: float | None = None
    recall_macro: float | None = None
    specificity_macro: float | None = None
    f1_macro: float | None = None
    kappa: float | None = None  # undefined for one class
    prevalence: float | None = None
    confusion: list[list[int]] | None = None  # rows: true class, columns: predicted
    per_class: list[dict[str, float]] | None = None  # precision, recall, f1
    ece: float | None = None
    reliability: list[dict[str, float]] | None = None  # by confidence: images, accuracy, confidence
    example_logits: list[list[float]] | None = None  # rows: images, columns: classes
    example_maps: list[list[list[float]]] | None = None  # image, row, column
    example_layer: str | None = None
    inference_runtime: str | None = None  # with its version
    weight_bytes: int | None = None
    # Of an int8 network: what it was made of, in the same runtime.
    reduce_range: bool | None = None
    float_test_score: float | None = None
    float_weight_bytes: int | None = None
    float_inference_s: float | None = None
    float_inference_energy_j: float | None = None
    metrics: Mapping[str, Any] | None = None  # the task's figures that have no column of their own


Event = TrialStarted | EpochReport | TrialEnded | TrialMetered | TrialTested
Listener = Callable[[Event], None]

_SCORES = {
    "val_score": "val_accuracy",
    "checkpoint_val_score": "checkpoint_val_accuracy",
    "test_score": "test_accuracy",
}
_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}


def with_chosen(reports: Iterable[EpochReport]) -> list[EpochReport]:
    """The reports of one attempt, each with the figures of its chosen checkpoint.

    Older versions left these out; then they are those of the report of the chosen epoch.
    """
    reports = list(reports)
    by_epoch = {report.epoch: report for report in reports}
    return [_with_chosen(report, by_epoch.get(report.checkpoint_epoch)) for report in reports]


def _with_chosen(report: EpochReport, chosen: EpochReport | None) -> EpochReport:
    if chosen is None or report.chosen_score is not None:
        return report
    return dataclasses.replace(report, checkpoint_val_score=chosen.val_score, checkpoint_val_loss=chosen.val_loss)


def to_json(event: Event) -> str:
    """One line of JSON, without the line end."""
    fields = {"event": type(event).__name__, **dataclasses.asdict(event), "at": event.at.isoformat()}
    return json.dumps(fields, ensure_ascii=False)


def from_json(line: str) -> Event:
    """The event of a line written by :func:`to_json`. Raises ValueError on anything else."""
    fields = json.loads(line)
    if not isinstance(fields, dict) or str(fields.get("event")) not in _KINDS:
        raise ValueError(f"not an event: {line[:80]!r}")
    kind = _KINDS[fields.pop("event")]
    known = {field.name for field in dataclasses.fields(kind)}
    # In journals of older versions every score was an accuracy, and called so.
    fields |= {name: fields[old] for name, old in _SCORES.items() if name in known and old in fields}
    # A journal of a newer version may have more fields: those that this version does not know are dropped.
    fields = {name: value for name, value in fields.items() if name in known}
    try:
        event: Event = kind(**{**fields, "at": datetime.fromisoformat(fields["at"])})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a whole {kind.__name__}: {error}") from error
    return event


def utc_now() -> datetime:
    """Now, in UTC, at the store's resolution (µs)."""
    return datetime.now(UTC)
