"""A study while it runs and once it has: its progress, what it came to, and then the failure, if there was one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from tune_kd.cli.shown.ranking_tables import records_in
from tune_kd.errors import RunFailed

if TYPE_CHECKING:
    from tune_kd.progress.base import Progress
    from tune_kd.results.outcome import Outcome


def run_and_show(
    start: Callable[[Progress], Outcome], show: Callable[[Outcome], None], *, store: str, quiet: bool
) -> None:
    """Run what ``start`` starts, then ``show`` what came out; its records are in ``store``, as it was typed.

    Where some runs failed, what the others came to is shown first; then, or at once if none ended well, RunFailed is
    raised.
    """
    outcome, failure = _run(start, quiet)
    with records_in(store):
        show(outcome)
    if failure is not None:
        raise failure


def _run(start: Callable[[Progress], Outcome], quiet: bool) -> tuple[Outcome, RunFailed | None]:
    """The outcome, and the failure of a run where others have something to show."""
    from tune_kd.progress.displays import choose_progress

    progress = choose_progress(quiet=quiet)
    progress.stage("loading PyTorch and Ray")
    try:
        with closing(progress):  # the display ends before an error gets its line
            return start(progress), None
    except RunFailed as failure:
        if failure.outcome is not None and "completed" in failure.outcome.statuses.values():
            return failure.outcome, failure
        raise
