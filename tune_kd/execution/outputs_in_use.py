"""Which runs use a replicate's teacher outputs in the cache: the last of them removes the outputs.

Beside the outputs each run has a file, on which its study holds a lease while it lives (:mod:`tune_kd.storage.in_use`).
An interrupted run's file stays behind: it keeps the outputs for the resume, for a week.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from tune_kd.errors import StoreError
from tune_kd.storage.in_use import OUTPUTS, take, uses_fixed
from tune_kd.storage.lease import Lease

OURS = re.compile(r"[0-9a-f]{16}")
"""How outputs are called: other folders there are a user's, whose cache may be the folder of a project."""

KEPT_FOR_RESUME_S = 7 * 24 * 3600
"""How long outputs are kept for the resume of an interrupted run, in seconds; they are gigabytes."""


class OutputsInUse:
    """The outputs in the ``cache``, a folder, that the runs of one study use; a context manager.

    ``note`` is called with one line if the folder's file system knows no flock: then no outputs are removed.
    """

    def __init__(self, cache: Path, note: Callable[[str], None]) -> None:
        self._cache, self._folder, self._note = cache, cache / OUTPUTS, note
        self._held: dict[tuple[str, str], Lease] = {}

    def hold(self, name: str, run_ids: Iterable[str], beside: Iterable[str] = ()) -> None:
        """Keep the outputs called ``name`` for these runs, from before the first of them looks for any.

        ``beside`` are the names of what else of the cache they use.
        """
        wanted, uses = [run_id for run_id in run_ids if (name, run_id) not in self._held], [*beside]
        try:
            with uses_fixed(self._cache), self._alone(name):
                for run_id in wanted:
                    lease = take(self._cache, name, run_id, uses)
                    if lease is not None:  # else somebody else drives this run
                        self._held[name, run_id] = lease
        except StoreError as error:
            self._note(f"the teacher's outputs in {self._folder} will not be removed: {error}")

    def give_up(self, name: str, run_id: str) -> None:
        """Give up a run's use of the outputs called ``name``; if no other run uses them, they are removed."""
        lease = self._held.pop((name, run_id), None)
        if lease is None:
            return
        with self._alone(name):
            lease.release(remove=True)
            self._remove_unused(name)

    def sweep(self) -> None:
        """Remove outputs that no run has used, or was interrupted with, in the last week."""
        with suppress(StoreError, OSError):
            for name in sorted({path.name.partition(".")[0] for path in self._folder.glob("*")}):
                if OURS.fullmatch(name) and time.time() - _touched_s(self._folder / name) > KEPT_FOR_RESUME_S:
                    with self._alone(name):
                        self._remove_unused(name)

    def __enter__(self) -> OutputsInUse:
        self.sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the leases of runs that did not end. Their files stay and keep the outputs for a resume."""
        for lease in self._held.values():
            with suppress(OSError):
                os.utime(lease.path)
            lease.release()
        self._held.clear()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Hold the lock under which uses of ``name`` begin and end."""
        gate = Lease.wait(self._folder / f"{name}.lock")
        try:
            yield
        finally:
            gate.release(remove=True)

    def _remove_unused(self, name: str) -> None:
        others = list(self._folder.glob(f"{name}.*.lease"))
        if any(_is_used(path) for path in others):
            return
        shutil.rmtree(self._folder / name, ignore_errors=True)
        for path in others:
            path.unlink(missing_ok=True)


def _is_used(path: Path) -> bool:
    """Is the lease at ``path`` held, or was it a week ago or less?"""
    probe = Lease.try_take(path)
    if probe is None:
        return True
    with probe:
        return time.time() - _touched_s(path) <= KEPT_FOR_RESUME_S


def _touched_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
