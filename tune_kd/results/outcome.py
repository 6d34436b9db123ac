"""A study that has been run, and what can be asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_kd.formats import plural
from tune_kd.planning.plan import Study
from tune_kd.results.recorded import Recorded
from tune_kd.results.store import RecordedStore

if TYPE_CHECKING:
    from analysis.runs.reading import Records


@dataclass(frozen=True, kw_only=True, repr=False)
class Outcome(Recorded):
    """A study that has been run: its records are in the store, with what was recorded of it before."""

    study: Study
    store: RecordedStore
    statuses: Mapping[str, str]  # run_id: completed, stopped or failed

    def records(self, *, epochs: bool = False) -> Records:
        from analysis.runs.reading import read

        return read(self.store, study_id=self.study.study_id, epochs=epochs)

    def __repr__(self) -> str:
        policies = ", ".join(dict.fromkeys(plan.label for plan in self.study.runs))
        counts = Counter(self.statuses.values())
        ended = ", ".join(f"{plural(count, 'run')} {status}" for status, count in counts.items())
        what = f"{self.study.name} of {policies} on {self.study.scenario.name}"
        return f"Outcome({what}: {ended}; study {self.study.study_id}, store {self.store.location})"
