"""Events survive their JSON line; what is not an event is refused."""

from __future__ import annotations

import dataclasses
import json
import math
import types
from datetime import UTC, datetime
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_events import report

from tune_kd.events import Event, TrialEnded, from_json, to_json, utc_now, with_chosen

KINDS: tuple[type, ...] = get_args(Event)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63),
    float: st.floats(),
    str: st.text(),
    bool: st.booleans(),
    type(None): st.none(),
    datetime: st.datetimes(timezones=st.just(UTC)),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Anything that a field of this type may hold."""
    if kind is Any:
        return st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers(), max_size=3))
    if kind in SCALARS:
        return SCALARS[kind]
    if get_origin(kind) is types.UnionType:
        return st.one_of([values(member) for member in get_args(kind)])
    if get_origin(kind) is list:
        return st.lists(values(get_args(kind)[0]), max_size=3)
    return st.dictionaries(st.text(max_size=5), values(get_args(kind)[1]), max_size=3)  # a mapping from names


def events(kind: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.fixed_dictionaries({f.name: values(hints[f.name]) for f in dataclasses.fields(kind)}).map(
        lambda fields: kind(**fields)
    )


def same(first: Any, second: Any) -> bool:
    """Equality under which NaN is NaN, an int no float, and None no number."""
    if isinstance(first, float) and isinstance(second, float):
        return first == second or (math.isnan(first) and math.isnan(second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return type(first) is type(second) and bool(first == second)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_survives_its_line_of_json(kind: type, data: st.DataObject) -> None:
    event = data.draw(events(kind))
    line = to_json(event)
    assert "\n" not in line
    back = from_json(line)
    assert type(back) is kind
    assert same(dataclasses.asdict(back), dataclasses.asdict(event))


ENDED = TrialEnded(run_id="r", trial_id="t", attempt=0, at=utc_now(), status="completed", error=None)


def test_what_a_newer_version_added_is_dropped() -> None:
    line = json.dumps({**json.loads(to_json(ENDED)), "added_later": {"deep": [1]}})
    assert from_json(line) == ENDED


def test_unmeasured_is_null_on_the_line() -> None:
    assert json.loads(to_json(ENDED))["error"] is None


GARBAGE = [
    "",
    "null",
    "[]",
    "17",
    '"TrialEnded"',
    "{}",
    to_json(ENDED)[:-5],
    to_json(ENDED).replace("TrialEnded", "TrialBegun"),
    '{"event": null}',
    '{"event": []}',
    '{"event": "TrialEnded"}',
    to_json(ENDED).replace('"status": "completed", ', ""),
    json.dumps({**json.loads(to_json(ENDED)), "at": 5}),
    json.dumps({**json.loads(to_json(ENDED)), "at": "yesterday"}),
]


@pytest.mark.parametrize("line", GARBAGE)
def test_what_is_not_an_event_is_refused_with_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_json(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_json_that_is_no_event_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not an event"):
        from_json(json.dumps(value))


def test_now_is_in_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_a_report_has_the_figures_of_the_checkpoint_that_is_chosen_so_far() -> None:
    own = dataclasses.replace(report("t", 0, 3, 1.0), val_score=0.7, val_loss=2.0)
    earlier = {"checkpoint_epoch": 1, "checkpoint_val_score": 0.9, "checkpoint_val_loss": 0.25}
    before = dataclasses.replace(own, **earlier)  # type: ignore[arg-type]
    assert (own.chosen_score, own.chosen_loss) == (0.7, 2.0)
    assert (before.chosen_score, before.chosen_loss) == (0.9, 0.25)


def test_an_older_report_gets_the_figures_of_the_epoch_that_it_chose() -> None:
    first = dataclasses.replace(report("t", 0, 1, 1.0), val_score=0.9, val_loss=0.25)
    older = dataclasses.replace(report("t", 0, 2, 2.0), val_score=0.7, checkpoint_epoch=1)
    assert older.chosen_score is None, "of another epoch than its own it says nothing"
    assert [each.chosen_score for each in with_chosen([first, older])] == [0.9, 0.9]
    assert with_chosen([first, older])[1].chosen_loss == 0.25
    assert with_chosen([older])[0].chosen_score is None
