"""The teachers of a study: trained one after the other, beside the trials of runs that wait for none."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any

from tune_kd.training.teacher import Teacher

STOP_S = 5.0
"""How long the end of a training that was cancelled is waited for, in seconds."""


class Teachers:
    """Obtains teachers in a thread, one at a time, in the order in which they were asked for.

    The thread does not outlive the process: it may be waiting for another command that trains the same teacher.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._asked: SimpleQueue[tuple[Future[Teacher], Callable[[], Teacher]] | None] = SimpleQueue()
        self._obtained: dict[str, Future[Teacher]] = {}
        self._references: dict[str, Any] = {}
        self._thread = Thread(target=self._obtain, name="teachers", daemon=True)

    def ask(self, identity: str, obtain: Callable[[], Teacher]) -> None:
        """Have ``obtain`` called for the teacher of this id, unless it was asked for before."""
        if identity in self._obtained:
            return
        self._obtained[identity] = Future()
        self._asked.put((self._obtained[identity], obtain))
        if not self._thread.is_alive():
            self._thread.start()

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
        for teacher in self._obtained.values():
            teacher.cancel()
        self._asked.put(None)
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _obtain(self) -> None:
        while (asked := self._asked.get()) is not None:
            teacher, obtain = asked
            if not teacher.set_running_or_notify_cancel():
                continue
            try:
                teacher.set_result(obtain())
            except BaseException as error:
                teacher.set_exception(error)
