"""The meter of one process tree, on recorded clocks and on real processes."""

import errno
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tune_kd.errors import InputError
from tune_kd.meter import processes
from tune_kd.meter.power_model import PowerModel
from tune_kd.meter.process import ProcessMeter
from tune_kd.meter.processes import node_busy_s, own_tree_cpu_s, read, scan

MODEL = PowerModel(cpus=2, cpu_watts=10, ram_gib=8, ram_watts_per_gib=0.5, idle_share=0.2, source="a test")


def meter(times_s: list[float], cpu_s: list[float], cpus: float = 1) -> ProcessMeter:
    """A meter whose marks read the recorded times and CPU seconds one after the other."""
    clock, cpu_seconds = iter(times_s), iter(cpu_s)
    return ProcessMeter(MODEL, cpus, clock=lambda: next(clock), cpu_seconds=lambda: next(cpu_seconds))


def test_use_is_charged_by_cpu_seconds_and_idle_and_ram_by_reservation() -> None:
    energy = meter([100, 110], [5, 8]).mark()
    assert energy.cpu_j == pytest.approx(10 * 0.8 / 2 * 3)  # 3 of 20 CPU seconds
    assert energy.idle_j == pytest.approx(10 * 0.2 * 10 / 2)  # 1 of 2 CPUs for 10 s
    assert energy.ram_j == pytest.approx(8 * 0.5 * 10 / 2)
    assert energy.gpu_j is None
    assert energy.method == "model"


def test_a_whole_busy_node_costs_the_whole_power() -> None:
    energy = meter([0, 10], [0, 20], cpus=2).mark()
    assert energy.total_j == pytest.approx((10 + 8 * 0.5) * 10)


def test_marks_are_cumulative() -> None:
    marks = meter([0, 1, 2], [0, 1, 2])
    first, second = marks.mark(), marks.mark()
    assert second.total_j == pytest.approx(2 * (first.total_j or 0))


def test_a_child_that_ends_unwaited_for_keeps_what_it_cost() -> None:
    marks = meter([0, 1, 2, 3], [0, 5, 2, 3])
    before, after, later = marks.mark(), marks.mark(), marks.mark()
    assert before.cpu_j == after.cpu_j
    assert (later - after).cpu_j == pytest.approx(10 * 0.8 / 2 * 1)


def test_more_cpus_than_the_node_has_are_all_of_them() -> None:
    assert meter([0, 1], [0, 0], cpus=64).mark().idle_j == pytest.approx(2)


@pytest.mark.parametrize("cpus", [0, -1, float("nan")])
def test_a_reservation_of_nothing_is_refused(cpus: float) -> None:
    with pytest.raises(InputError, match="reserved CPUs"):
        ProcessMeter(MODEL, cpus)


def burn(cpu_s: float) -> None:
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        pass


def child(cpu_s: float) -> subprocess.Popen[str]:
    """A burner that was ready and has been told to begin."""
    burner = [sys.executable, str(Path(__file__).parents[1] / "helpers" / "burner.py"), "alone", str(cpu_s)]
    started = subprocess.Popen(burner, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdin is not None
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.stdin.write("\n")
    started.stdin.flush()
    return started


def test_a_child_belongs_to_its_tree_while_it_lives_and_after_it_was_waited_for() -> None:
    before_s = own_tree_cpu_s()
    with child(0.3) as burning:
        assert burning.stdout is not None
        burning.stdout.readline()  # it has burnt, and lives on
        while_alive_s = own_tree_cpu_s() - before_s
        burning.communicate("")
    assert while_alive_s >= 0.28  # the kernel tells others' seconds in steps of 10 ms
    assert own_tree_cpu_s() - before_s >= while_alive_s


def test_a_scan_sees_this_process_and_reads_what_a_single_reading_does() -> None:
    mine = scan()[os.getpid()]
    again = read(os.getpid())
    assert mine.parent == os.getppid()
    assert again is not None
    assert (again.parent, again.started) == (mine.parent, mine.started)


def test_a_process_that_is_gone_is_none() -> None:
    with child(0.0) as ended:
        ended.communicate("\n\n")
    assert read(ended.pid) is None


def test_the_node_is_busy_for_at_least_what_a_process_burns() -> None:
    before_s = node_busy_s()
    burn(0.3)
    assert node_busy_s() - before_s >= 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_other_users_processes_are_not_there_where_proc_is_mounted_with_hidepid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Recorded: under ``hidepid=1`` Linux lists them and refuses to open their files, with EPERM."""

    def refused(path: str, *_: object, **__: object) -> io.BufferedReader:
        if path != f"/proc/{os.getpid()}/stat":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)
        return Path(path).open("rb")

    monkeypatch.setattr(processes, "open", refused, raising=False)
    assert set(processes.scan()) == {os.getpid()}
