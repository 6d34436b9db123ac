"""The teachers of a study: trained one after the other, beside the trials of runs that wait for none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tune_kd.training.teacher import Teacher


class Teachers:
    """Obtains teachers in a thread, one at a time, in the order in which they were asked for."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="teachers")
        self._obtained: dict[str, Future[Teacher]] = {}
        self._references: dict[str, Any] = {}

    def ask(self, identity: str, obtain: Callable[[], Teacher]) -> None:
        """Have ``obtain`` called for the teacher of this id, unless it was asked for before."""
        if identity not in self._obtained:
            self._obtained[identity] = self._thread.submit(obtain)

    def there(self, identity: str) -> bool:
        """Has the teacher been obtained, or failed?"""
        return self._obtained[identity].done()

    def get(self, identity: str) -> Teacher:
        """The teacher, waited for. Raises what obtaining it raised."""
        return self._obtained[identity].result()

    def reference(self, identity: str) -> Any:
        """The teacher in Ray's object store."""
        if identity not in self._references:
            self._references[identity] = self._ray.put(self.get(identity))
        return self._references[identity]

    @property
    def at_work(self) -> int:
        """How many jobs' room the training of a teacher takes at this moment: 1, or 0 once all are there."""
        return int(not all(teacher.done() for teacher in self._obtained.values()))

    def stop(self) -> None:
        """Obtain no other teacher. One that is being trained must have been cancelled."""
        self._thread.shutdown(wait=True, cancel_futures=True)
