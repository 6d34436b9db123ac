"""A SIGTERM is treated as Ctrl-C, and what is started under ``undisturbed`` never hears of one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tune_kd.cluster.interruption import interruptible, terminable, undisturbed
from tune_kd.progress.base import Progress

BLOCKED = "import signal; print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, as in a terminal: what a script starts in the background is told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_sigterm_interrupts_and_the_next_ones_do_not_break_off_what_that_began() -> None:
    with terminable():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_caller_who_handles_sigterm_otherwise_goes_on_to_do_so() -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with terminable():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_run_closes_its_records_after_either_signal_and_only_ctrl_c_breaks_that_off(first: signal.Signals) -> None:
    run = SimpleNamespace(interrupted=False)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruptible(run, Progress()):
        signal.raise_signal(first)
        assert run.interrupted
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_sigterm_waits_for_what_must_not_be_disturbed_and_then_finds_the_handler_of_before() -> None:
    reached = []

    def work() -> None:
        with undisturbed():
            signal.signal(signal.SIGTERM, lambda number, frame: reached.append("a handler such as Ray's"))
            signal.raise_signal(signal.SIGTERM)
            reached.append("the end")

    with terminable(), pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]


def test_what_is_started_undisturbed_never_gets_a_sigterm() -> None:
    with undisturbed():
        child = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "True"
    child = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "False"
