"""RAPL through a powercap tree made of files: recorded readings in place of a kernel."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_kd.meter.counter import Counter, Unavailable
from tune_kd.meter.rapl import RaplReader

RANGE_J = 262_143.0


class Powercap:
    """A fake /sys/class/powercap."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def domain(self, path: str, name: str, joules: float) -> Path:
        folder = self.root / path
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{int(RANGE_J * 1e6)}\n")
        return self.set(folder, joules)

    def set(self, folder: Path, joules: float) -> Path:
        (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
        return folder


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path)


def test_two_packages_and_their_dram_are_summed_from_the_first_reading_on(powercap: Powercap) -> None:
    first = powercap.domain("intel-rapl:0", "package-0", 1000)
    second = powercap.domain("intel-rapl:1", "package-1", 5000)
    dram = powercap.domain("intel-rapl:0:1", "dram", 70)
    powercap.domain("intel-rapl:0:0", "core", 900)  # inside the package: not counted twice
    powercap.domain("intel-rapl:2", "psys", 9000)  # the whole platform: not counted twice
    powercap.domain("intel-rapl-mmio:0", "package-0", 1000)  # the same package through another window
    reader = RaplReader(powercap.root)
    powercap.set(first, 1010)
    powercap.set(second, 5025)
    powercap.set(dram, 73)
    assert reader.packages == ("package-0", "package-1")
    assert reader.read() == pytest.approx((35, 3, 0))


def test_a_counter_that_wraps_around_goes_on(powercap: Powercap) -> None:
    package = powercap.domain("intel-rapl:0", "package-0", RANGE_J - 5)
    reader = RaplReader(powercap.root)
    powercap.set(package, 7)
    assert reader.read().cpu_j == pytest.approx(12)
    assert reader.read().gaps == 0


def test_a_counter_that_goes_backwards_is_a_gap_and_not_a_wrap_around(powercap: Powercap) -> None:
    package = powercap.domain("intel-rapl:0", "package-0", 1000)
    reader = RaplReader(powercap.root)
    powercap.set(package, 400)
    assert reader.read() == pytest.approx((0, None, 1))
    powercap.set(package, 410)
    assert reader.read() == pytest.approx((10, None, 1))


def test_a_counter_that_vanishes_for_a_while_leaves_a_gap_of_unknown_size(powercap: Powercap) -> None:
    package = powercap.domain("intel-rapl:0", "package-0", 1000)
    reader = RaplReader(powercap.root)
    (package / "energy_uj").unlink()
    assert reader.read().gaps == 1
    powercap.set(package, 2000)
    powercap.set(package, 2005)
    reader.read()
    powercap.set(package, 2009)
    assert reader.read().cpu_j == pytest.approx(4)


def test_without_dram_counters_dram_is_not_zero_but_unmeasured(powercap: Powercap) -> None:
    powercap.domain("intel-rapl:0", "package-0", 1000)
    assert RaplReader(powercap.root).read().dram_j is None


def test_dies_that_mirror_one_counter_are_one_package(powercap: Powercap) -> None:
    dies = [powercap.domain(f"intel-rapl:{die}", f"package-0-die-{die}", 1000 + die / 10) for die in range(4)]
    reader = RaplReader(powercap.root)
    for die in dies:
        powercap.set(die, 1100)
    assert reader.read().cpu_j == pytest.approx(100)


def test_without_powercap_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no CPU energy counter") as reason:
        RaplReader(tmp_path / "absent")
    assert "--cpu-watts" in reason.value.remedy


def test_permission_denied_brings_the_command_that_helps(powercap: Powercap, monkeypatch: pytest.MonkeyPatch) -> None:
    package = powercap.domain("intel-rapl:0", "package-0", 1000)
    energy, read_text = package / "energy_uj", Path.read_text

    def as_a_user(path: Path, *arguments: str) -> str:
        """What the kernel answers to anyone but root; root, who may run this test, is refused nothing by chmod."""
        if path == energy:
            raise PermissionError(13, "Permission denied")
        return read_text(path, *arguments)

    monkeypatch.setattr(Path, "read_text", as_a_user)
    with pytest.raises(Unavailable, match="root only") as reason:
        RaplReader(powercap.root)
    assert reason.value.remedy.startswith("sudo chmod -R a+r")


@settings(deadline=None)
@given(start=st.floats(0, RANGE_J - 1), steps=st.lists(st.floats(0, RANGE_J / 2 - 1), max_size=30))
def test_any_sequence_of_steps_adds_up_wherever_the_counter_started(start: float, steps: list[float]) -> None:
    counter, raw = Counter(RANGE_J), start
    counter.advance(raw)
    for step in steps:
        raw = (raw + step) % RANGE_J
        counter.advance(raw)
    assert counter.joules == pytest.approx(sum(steps), abs=1e-3)
    assert counter.gaps == 0


def test_a_counter_of_unknown_range_cannot_wrap() -> None:
    counter = Counter()
    counter.advance(10)
    assert counter.advance(3) == 0
    assert counter.gaps == 1
