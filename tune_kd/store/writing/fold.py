"""The events of one attempt, folded into its row of ``trials`` and its rows of ``reports``. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

from tune_kd.errors import StoreError
from tune_kd.events import EpochReport, Event, TrialEnded, TrialMetered, TrialStarted, TrialTested, with_chosen
from tune_kd.store.columns import SPENT

E = TypeVar("E", bound=Event)

LOST = "its driver was gone before the attempt ended"


class Attempt(NamedTuple):
    """The rows of one attempt, as :func:`tune_kd.store.schema.to_table` takes them."""

    trial: dict[str, Any]
    reports: list[dict[str, Any]]


def fold(events: Iterable[Event]) -> Attempt:
    """The rows of an attempt, from its events in the order they were journalled.

    Costs are those of the last report, which are cumulative, and energy that of the closed account, if there is
    one; validation figures are those of the epoch that the last report's checkpoint rule chose. Without a
    :class:`TrialEnded` the attempt is ``lost``, with its costs so far. A report that comes twice counts once.
    Raises StoreError if there is no :class:`TrialStarted`.
    """
    events = list(events)
    started = _first(events, TrialStarted)
    if started is None:
        raise StoreError("these events have no TrialStarted: there is no attempt to record")
    by_epoch: dict[int, EpochReport] = {}
    for event in events:
        if isinstance(event, EpochReport):
            by_epoch.setdefault(event.epoch, event)
    reports = with_chosen(by_epoch[epoch] for epoch in sorted(by_epoch))
    trial = {
        **_started(started),
        **_ended(_first(events, TrialEnded), last_sign_of_life=events[-1]),
        **_chosen(reports),
        **_metered(_first(events, TrialMetered)),
        **_tested(_first(events, TrialTested)),
    }
    return Attempt(trial, [dict(vars(report)) for report in reports])


def _started(event: TrialStarted) -> dict[str, Any]:
    fields = dict(vars(event))
    at, params = fields.pop("at"), fields.pop("params")
    return {**fields, "started_at": at, "params_json": json.dumps(params, sort_keys=True)}


def _chosen(reports: list[EpochReport]) -> dict[str, Any]:
    """What the reports say of the whole attempt; costs stay null in one that had none."""
    if not reports:
        return {"epochs": 0}
    last = reports[-1]
    spent = {column.name: getattr(last, column.name) for column in SPENT}
    return {
        **spent,
        "epochs": len(reports),
        "node_id": last.node_id,
        "checkpoint_epoch": last.checkpoint_epoch,
        "diverged_epoch": last.diverged_epoch,
        "val_score": last.chosen_score,
        "val_loss": last.chosen_loss,
    }


def _ended(event: TrialEnded | None, *, last_sign_of_life: Event) -> dict[str, Any]:
    if event is None:
        return {"status": "lost", "error": LOST, "ended_at": last_sign_of_life.at}
    fields = dict(vars(event))
    at = fields.pop("at")
    return {**fields, "ended_at": at}


def _metered(event: TrialMetered | None) -> dict[str, Any]:
    """The closed account's energy, if there is one: it reaches beyond the last report."""
    if event is None:
        return {}
    fields = dict(vars(event))
    del fields["at"]
    return fields


def _tested(event: TrialTested | None) -> dict[str, Any]:
    if event is None:
        return {}
    fields = dict(vars(event))
    at = fields.pop("at")
    return {**fields, "tested_at": at}


def _first(events: list[Event], kind: type[E]) -> E | None:
    return next((event for event in events if isinstance(event, kind)), None)
