"""Energy counters of CPU packages and DRAM, through Linux's powercap tree (Intel RAPL; AMD uses the same names)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tune_kd.meter.counter import Counter, Unavailable

POWERCAP = Path("/sys/class/powercap")
MICROJOULES_PER_J = 1e6
# Two views of one counter are read milliseconds apart; packages of their own drift further apart than this.
_MIRROR_J = 1.0


class RaplReading(NamedTuple):
    """Joules since the reader was made. ``dram_j`` is None if DRAM has no counter; ``gaps`` are failed readings."""

    cpu_j: float
    dram_j: float | None
    gaps: int


@dataclass(frozen=True)
class _Domain:
    """One counter of the tree: a package, or the DRAM at one."""

    name: str
    energy: Path
    counter: Counter

    def advance(self) -> float:
        return self.counter.advance(_microjoules(self.energy))


class RaplReader:
    """All CPU packages of the node, and their DRAM. Raises Unavailable, with the reason and the remedy."""

    method = "counter"

    def __init__(self, root: Path = POWERCAP) -> None:
        # Not intel-rapl-mmio: the same packages seen through another window.
        names = {path: _text(path / "name") for path in sorted(root.glob("intel-rapl:*"))}
        packages = [path for path, name in names.items() if name.startswith("package")]
        if not packages:
            raise Unavailable(f"no CPU energy counter under {root}", _NO_RAPL)
        self._packages = [_domain(path) for path in _without_mirrors(packages)]
        self._dram = [_domain(path) for path, name in names.items() if name == "dram"]
        self.read()

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of the packages that are read."""
        return tuple(package.name for package in self._packages)

    def read(self) -> RaplReading:
        """The counters now, as joules since construction."""
        cpu_j = sum(package.advance() for package in self._packages)
        dram_j = sum(dram.advance() for dram in self._dram) if self._dram else None
        return RaplReading(cpu_j, dram_j, sum(domain.counter.gaps for domain in (*self._packages, *self._dram)))


_NO_RAPL = "virtual machines rarely have one: run on the host, or give the CPU's power with --cpu-watts"


def _domain(path: Path) -> _Domain:
    energy = path / "energy_uj"
    try:
        energy.read_text()
    except PermissionError as error:
        # Linux keeps the counters from users since CVE-2020-8694.
        remedy = f"sudo chmod -R a+r {path.parent}/intel-rapl* (until the next boot)"
        raise Unavailable(f"{energy} may be read by root only", remedy) from error
    except OSError as error:
        raise Unavailable(f"{energy} cannot be read: {error.strerror}") from error
    range_j = _microjoules(path / "max_energy_range_uj")
    return _Domain(_text(path / "name"), energy, Counter(range_j))


def _without_mirrors(packages: list[Path]) -> list[Path]:
    """Some CPUs show the socket's one counter once for every die: each counter is kept once."""
    kept: dict[Path, float | None] = {}
    for path in packages:
        joules = _microjoules(path / "energy_uj")
        mirrors = joules and any(other is not None and abs(joules - other) < _MIRROR_J for other in kept.values())
        if not mirrors:
            kept[path] = joules
    return list(kept)


def _microjoules(path: Path) -> float | None:
    """Joules in a file of microjoules; None if it cannot be read."""
    try:
        return int(path.read_text()) / MICROJOULES_PER_J
    except (OSError, ValueError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
