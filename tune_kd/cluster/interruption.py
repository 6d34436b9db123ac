"""Signals that stop a command: SIGTERM, which Slurm, Kubernetes and ``docker stop`` send, is treated as Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tune_kd.progress.base import Progress

STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def terminable() -> Iterator[None]:
    """The first SIGTERM raises KeyboardInterrupt meanwhile, unless the caller handles it otherwise.

    Later ones do nothing: ``timeout`` sends two at once, and the second must not break off what the first began.
    """
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def interruptible(source: Any, progress: Progress) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM lets the run close its records; another Ctrl-C is an ordinary KeyboardInterrupt."""
    if not _in_main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        if not source.interrupted:
            source.interrupted = True
            progress.stage("stopping; Ctrl-C again to break off")

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A SIGTERM comes only afterwards, and the handlers are as before.

    Processes that are started meanwhile never get one: Slurm and ``timeout`` send it to all processes of a command, and
    Ray's would be gone before the driver has closed its records. Of its driver, Ray makes a SIGTERM an abort.
    """
    handlers = {number: signal.getsignal(number) for number in STOPPING} if _in_main_thread() else {}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        _restore(handlers)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # None: set by C code, which Python cannot set again
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
