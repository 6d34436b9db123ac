"""The journal: what is appended is on disk, and a crash can only tear the last line."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_records import report, started, trial_events

from tune_kd.errors import StoreError
from tune_kd.store.writing.journal import Journal, read_events


def test_what_is_appended_can_be_read_while_the_writer_lives(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.jsonl") as journal:
        for count, event in enumerate(trial_events("r", 0), start=1):
            journal.append(event)
            assert len(read_events(journal.path)) == count
        assert journal.read() == list(trial_events("r", 0))


def test_a_journal_torn_at_any_byte_keeps_every_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    events = list(trial_events("r", 0, epochs=2))
    with Journal(path) as journal:
        for event in events:
            journal.append(event)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        complete = whole[:size].count(b"\n")
        assert read_events(path)[:complete] == events[:complete]
        assert len(read_events(path)) - complete in (0, 1)  # 1: torn between the line and its end


def test_zeros_at_the_end_as_after_a_power_failure_are_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path) as journal:
        journal.append(started("r", 0))
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert read_events(path) == [started("r", 0)]


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with Journal(path) as journal:
        journal.append(started("r", 0))
        journal.append(report("r", 0, 1))
    path.write_bytes(path.read_bytes().replace(b"TrialStarted", b"Trial"))
    with pytest.raises(StoreError, match="line 1, is damaged"):
        read_events(path)


def test_two_writers_of_one_journal_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.jsonl"), pytest.raises(StoreError, match="written by another process"):
        Journal(tmp_path / "a.jsonl")


def test_a_journal_that_was_never_sealed_is_not_appended_to(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.jsonl") as journal:
        journal.append(started("r", 0))
    with pytest.raises(StoreError, match="not sealed"):
        Journal(tmp_path / "a.jsonl")


def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.jsonl") as journal:
        pass
    with pytest.raises(StoreError, match="is closed"):
        journal.append(started("r", 0))
