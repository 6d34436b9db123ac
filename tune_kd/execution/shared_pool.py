"""The pool of synthesised images of one replicate: made by one job, for all runs that share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_kd.budget.cost import Cost
from tune_kd.storage.cache import Kept
from tune_kd.synthesis.examples import examples_json
from tune_kd.synthesis.pool import PoolFiles, pool_folder


class SharedPool:
    """A pool in the cache, and whether a job is making it.

    ``classes`` are the names of its labels. Its images are ``real`` where they are training images without labels.
    One run of the replicate hands the job out; the others wait. A pool that an earlier command has kept is not made
    again. Two commands at once may both make it, each to the same bytes.
    """

    def __init__(self, kept: Kept, identity: str, classes: Sequence[str], *, real: bool) -> None:
        self.identity, self.folder = identity, pool_folder(identity)
        self.failure: str | None = None
        self.is_there, self._at_work = False, False
        self._files = PoolFiles(lambda name: kept.place(f"{self.folder}/{name}"))
        self._classes, self._real = classes, real
        self._columns: dict[str, Any] = {}
        self._look()

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of ``runs`` about the pool. Of one that failed: what it cost."""
        return {"pool_id": self.identity, **self._columns}

    def hand_out(self) -> bool:
        """Is the job to be handed out now? Not where the pool is there, has failed, or is being made."""
        wanted = not self.is_there and self.failure is None and not self._at_work
        self._at_work |= wanted
        return wanted

    def made(self, outcome: Mapping[str, Any]) -> None:
        """The job has given its outcome."""
        self.failure = outcome.get("failure")
        if self.failure is None:
            self._look()
        else:
            self._columns = Cost(**outcome["cost"]).columns("pool")

    def ended(self, error: str | None) -> None:
        """The job is over, and may have given nothing."""
        self._at_work = False
        if not self.is_there and self.failure is None:
            self.failure = f"the images could not be synthesised: {error or 'the worker was stopped'}"

    def _look(self) -> None:
        """Read the pool, if it is complete; of its images, which may be gigabytes, a few examples are kept."""
        pool = self._files.read()
        if pool is not None:
            examples = None if self._real else examples_json(pool, self._classes)
            self._columns = {"pool_agreement": pool.agreement, "pool_examples_json": examples}
            self._columns |= pool.cost.columns("pool")
            self.is_there = True
