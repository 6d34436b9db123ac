"""What is seen of a store at a moment: its studies, and the records of those that are under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from tune_kd.errors import StoreError
from tune_kd.events import utc_now

if TYPE_CHECKING:
    from rich.console import RenderableType

    from analysis.runs.reading import Records
    from analysis.runs.under_way import StudyState
    from tune_kd.store import Store

SHARE = 0.05  # of a core at most, that looking and drawing may take: a watched run is being metered


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A store at one moment; ``faults`` say why some journals could not be read."""

    at: datetime
    records: Records  # with the epochs of the studies under way
    studies: list[StudyState]
    faults: tuple[str, ...]


def look(store: Store) -> Seen:
    """Read the store and its journals. Nothing is locked or written. Raises StoreError."""
    from analysis.runs.reading import read, with_rows
    from analysis.runs.under_way import in_focus, states

    going = store.under_way()
    records = read(store, under_way=going)
    running = records.runs.loc[records.runs["status"] == "running", "run_id"]
    drivers = {run_id: store.driver(run_id) for run_id in running}
    abandoned = [run_id for run_id, driver in drivers.items() if driver is not None and driver.gone]
    studies = states(records, abandoned)
    ids = [run.run_id for study in in_focus(studies) for run in study.runs]
    reports = with_rows(store.reports(run_ids=ids), records.reports)
    return Seen(at=utc_now(), records=replace(records, reports=reports), studies=studies, faults=going.faults)


class Page:
    """The page of a store, made anew when it is asked for, but no more often than every ``every_s`` seconds.

    Making it takes :data:`SHARE` of a core at most. Threads may ask for it at the same time.
    """

    def __init__(self, store: Store, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._every_s, self._clock = store, every_s, clock
        self._lock = threading.Lock()
        self._html, self._next_s = "", -float("inf")

    def __call__(self) -> str:
        """The page as HTML. Raises StoreError where the store cannot be read now."""
        with self._lock:
            if (now_s := self._clock()) >= self._next_s:
                before_s = time.process_time()
                self._html = self._made()
                self._next_s = now_s + _pause_s(self._every_s, before_s)
            return self._html

    def _made(self) -> str:
        from analysis.pages import watched
        from analysis.pages.shell import POLICY, document
        from analysis.rendering.markup import tag

        seen = look(self._store)
        inside = watched.body(seen.records, seen.studies, seen.faults, seen.at)
        where = tag("h1", f"tune-kd watch {self._store.location}")
        body = f'{where}\n<main data-every="{self._every_s:g}">\n{inside}\n</main>\n<footer></footer>'
        policy = f"{POLICY}; connect-src 'self'"
        return document("tune-kd watch", body, scripts=("report.js", "watched.js"), policy=policy)


def as_text(seen: Seen) -> Iterator[RenderableType]:
    """What the page says, for a terminal: for each study under way its state, its runs, trials and ranking."""
    from analysis.pages import watched
    from analysis.ranking import ranking_tables
    from analysis.rendering.table import rich_table
    from analysis.runs.under_way import in_focus

    if not seen.studies:
        yield Text("The store holds no run yet.")
    for fault in seen.faults:
        yield Text(f"left out: {fault}")
    for study in in_focus(seen.studies):
        yield Text(f"{study.name} {study.study_id}: {watched.sentence(study, seen.at)}")
        tables = [watched.runs_table(study, seen.at), watched.trials_table(seen.records, study, seen.at)]
        outcomes = watched.outcomes_of(seen.records, study)
        tables += ranking_tables(outcomes) if outcomes["counted"].any() else []
        for table in tables:
            if table is not None:
                yield Text("")
                yield rich_table(table)


def steadily(store: Store, every_s: float) -> Iterator[list[RenderableType]]:
    """The text again and again; where the store cannot be read for once, that it cannot."""
    while True:
        before_s = time.process_time()
        try:
            yield list(as_text(look(store)))
        except StoreError as error:
            yield [Text(str(error))]
        time.sleep(_pause_s(every_s, before_s))


def _pause_s(every_s: float, before_s: float) -> float:
    """Seconds until the next look, if the last one began at ``before_s`` of this process's CPU time."""
    return max(every_s, (time.process_time() - before_s) / SHARE)
