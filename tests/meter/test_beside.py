"""Meters of one machine see each other, and no longer than they live."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recorded_host import POWER, RecordedHost

from tune_kd.meter.beside import Registry, Reservations
from tune_kd.meter.node import NodeMeter
from tune_kd.meter.readings import NodeReaders

TWO = Reservations(trials=2, cpus=1.5, gpu_shares={"GPU-1": 0.5})
SAYING = """
import sys
from pathlib import Path
from tune_kd.meter.beside import Registry, Reservations
registry = Registry(Path(sys.argv[1]))
registry.say(Reservations(trials=2, cpus=1.5, gpu_shares={"GPU-1": 0.5}))
print("said", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Callable[[], Registry]]:
    """registry(): one more entry of the same machine."""
    made: list[Registry] = []

    def make() -> Registry:
        made.append(Registry(tmp_path / "meters"))
        return made[-1]

    yield make
    for entry in made:
        entry.close()


def test_a_meter_sees_what_all_others_have_reserved_and_not_itself(registry: Callable[[], Registry]) -> None:
    one, other, third = registry(), registry(), registry()
    assert one.others() == Reservations()
    one.say(TWO)
    third.say(TWO)
    assert one.others() == third.others() == TWO
    assert other.others() == Reservations(trials=4, cpus=3.0, gpu_shares={"GPU-1": 1.0})
    third.say(Reservations())
    assert other.others() == TWO
    one.close()
    assert other.others() == Reservations()


def test_a_meter_that_is_killed_is_seen_no_more_and_its_entry_is_removed(
    registry: Callable[[], Registry], tmp_path: Path
) -> None:
    here = registry()
    command = [sys.executable, "-c", SAYING, str(tmp_path / "meters")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "said\n"
        assert here.others() == TWO
        other.kill()
        other.wait()
    assert here.others() == Reservations()
    assert len(list((tmp_path / "meters").iterdir())) == 1


def test_no_other_file_of_the_folder_is_touched(registry: Callable[[], Registry], tmp_path: Path) -> None:
    """``TUNE_KD_METERS`` may name a folder that has other files in it."""
    here = registry()
    for name in ("results.csv", "0123456789abcdef", "notes.tune-kd-meter"):
        (tmp_path / "meters" / name).write_text("1,2")
    before = sorted((tmp_path / "meters").iterdir())
    assert here.others() == Reservations()
    assert sorted((tmp_path / "meters").iterdir()) == before


def test_an_entry_that_is_half_written_stands_as_it_was(registry: Callable[[], Registry], tmp_path: Path) -> None:
    here = registry()
    [mine] = (tmp_path / "meters").iterdir()
    other = registry()
    other.say(TWO)
    assert here.others() == TWO
    [entry] = set((tmp_path / "meters").iterdir()) - {mine}
    entry.write_text('{"trials": 1, "cp')
    assert here.others() == TWO


def test_where_no_registry_can_be_kept_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    unseen = Registry(tmp_path / "file" / "meters")
    unseen.say(TWO)
    assert unseen.others() is None
    meter = NodeMeter(NodeReaders(POWER, host=RecordedHost().host), registry=unseen)
    meter.tick()
    assert meter.snapshot().totals.meters_beside_s is None


def test_two_meters_of_one_machine_share_its_idle_and_ram_by_reservation(registry: Callable[[], Registry]) -> None:
    """Two CPUs with 20 W at idle and 5 W of RAM; each meter's trial has reserved both CPUs."""
    computer = RecordedHost()
    one, other = (NodeMeter(NodeReaders(POWER, host=computer.host), registry=registry()) for _ in range(2))
    for meter, trial, pid in ((one, "a", 10), (other, "b", 11)):
        computer.start(pid)
        meter.register(trial, pid, cpus=2)
    computer.run(4, {10: 3.0, 11: 1.0})
    one.tick()
    mine, theirs = one.snapshot().trials["a"], other.unregister("b")
    computer.run(2, {10: 2.0})
    alone = one.unregister("a")
    assert (mine.energy.idle_j, mine.energy.ram_j) == (theirs.energy.idle_j, theirs.energy.ram_j) == (40, 10)
    assert (mine.co_tenants, theirs.co_tenants) == (1, 1)
    assert alone.energy.idle_j == pytest.approx(40 + 2 * 20)
    for meter, beside_s in ((one, 4), (other, 4)):
        totals = meter.snapshot().totals
        assert totals.meters_beside_s == beside_s
        assert abs(totals.residual_j) <= 1e-9 * totals.total_j
