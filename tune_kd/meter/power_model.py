"""The stated power model, used if no counter can be read.

P = TDP · (idle share + (1 − idle share) · load), and RAM by its size. Every figure made with it has the method
``model``.
"""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from tune_kd.errors import InputError

# codecarbon's fallback for a CPU that it does not know (codecarbon.core.cpu.DEFAULT_POWER_PER_CORE).
UNKNOWN_CPU_WATTS_PER_THREAD = 4.0
# An idle CPU draws a tenth of its TDP: the floor of codecarbon's load model (codecarbon.external.hardware.CPU).
IDLE_SHARE = 0.1
# Karyakin & Salem 2017, as used by Green Algorithms (Lannelongue et al. 2021).
RAM_WATTS_PER_GIB = 0.3725
GIB = 2**30

# Hardware threads per socket of the processors that clouds rent out in parts (vendors' data sheets). A guest
# sees only its own threads, so that without this its share of the socket's TDP cannot be known.
HOST_THREADS = {
    "amd epyc 7452": 64,
    "amd epyc 7742": 128,
    "amd epyc 7763": 128,
    "amd epyc 7b12": 128,
    "amd epyc 7r13": 96,
    "amd epyc 9554": 128,
    "amd epyc 9654": 192,
    "amd epyc 9655": 192,
    "intel xeon platinum 8171m": 52,
    "intel xeon platinum 8175m": 48,
    "intel xeon platinum 8259cl": 48,
    "intel xeon platinum 8272cl": 52,
    "intel xeon platinum 8370c": 64,
    "intel xeon platinum 8375c": 64,
    "intel xeon platinum 8480+": 112,
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The properties of a computer that the model needs. ``cpus`` are its hardware threads."""

    cpu_model: str | None
    cpus: int
    sockets: int
    virtual: bool
    ram_gib: float


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """Watts of a whole node as a function of its load; ``source`` is the origin of each parameter.

    ``cpu_watts`` is the power of all ``cpus`` threads at full load, ``idle_share`` the fraction of it at none.
    """

    cpus: int
    cpu_watts: float
    ram_gib: float
    ram_watts_per_gib: float
    idle_share: float
    source: str

    def __post_init__(self) -> None:
        if self.cpus < 1:
            raise InputError(f"a power model needs at least 1 CPU, got {self.cpus}")
        for name in ("cpu_watts", "ram_gib", "ram_watts_per_gib"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name.replace('_', ' ')} must be a finite number >= 0, got {value}")
        if not 0 <= self.idle_share <= 1:
            raise InputError(f"idle share must be between 0 and 1, got {self.idle_share}")

    @property
    def cpu_idle_w(self) -> float:
        """Watts of the CPU at no load."""
        return self.cpu_watts * self.idle_share

    @property
    def ram_w(self) -> float:
        """Watts of all the RAM, at any load."""
        return self.ram_gib * self.ram_watts_per_gib

    def cpu_dynamic_j(self, busy_s: float) -> float:
        """Joules above idle of ``busy_s`` CPU seconds."""
        return self.cpu_watts * (1 - self.idle_share) * busy_s / self.cpus


def detect(
    *,
    cpu_watts: float | None = None,
    ram_watts_per_gib: float | None = None,
    idle_share: float | None = None,
    machine: Machine | None = None,
) -> PowerModel:
    """The power model of ``machine`` (by default this one); given figures take the place of those in tables.

    Raises InputError for a number that cannot be.
    """
    machine = machine or this_machine()
    watts, cpu_source = modelled_cpu_watts(machine) if cpu_watts is None else (cpu_watts, "CPU watts given")
    sources = (
        cpu_source,
        f"idle share {IDLE_SHARE} (codecarbon's floor)" if idle_share is None else "idle share given",
        f"RAM {RAM_WATTS_PER_GIB} W/GiB (Green Algorithms)" if ram_watts_per_gib is None else "RAM W/GiB given",
    )
    return PowerModel(
        cpus=machine.cpus,
        cpu_watts=watts,
        ram_gib=machine.ram_gib,
        ram_watts_per_gib=RAM_WATTS_PER_GIB if ram_watts_per_gib is None else ram_watts_per_gib,
        idle_share=IDLE_SHARE if idle_share is None else idle_share,
        source="; ".join(sources),
    )


def modelled_cpu_watts(machine: Machine) -> tuple[float, str]:
    """Watts of the machine's CPUs at full load, and the origin of the number."""
    by_threads = machine.cpus * UNKNOWN_CPU_WATTS_PER_THREAD
    name = machine.cpu_model
    tdp_w = None if name is None else _tdp_watts().get(_words(name))
    if name is None or tdp_w is None:
        return by_threads, f"{UNKNOWN_CPU_WATTS_PER_THREAD:g} W per thread (TDP of {name or 'this CPU'} unknown)"
    told = f"TDP {tdp_w:g} W of {name} (codecarbon)"
    if not machine.virtual:
        return tdp_w * machine.sockets, f"{told} × {machine.sockets} sockets"
    threads = _host_threads().get(_words(name))
    if threads is not None:
        return tdp_w * machine.cpus / threads, f"{told} × {machine.cpus}/{threads} threads"
    return min(tdp_w, by_threads), f"{UNKNOWN_CPU_WATTS_PER_THREAD:g} W per thread of a virtual machine, at most {told}"


def this_machine() -> Machine:
    """The computer that this runs on. If ``/proc/cpuinfo`` does not exist, one socket is assumed."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return Machine(
        cpu_model=model.group(1).strip() if model else platform.processor() or None,
        cpus=psutil.cpu_count(logical=True) or 1,
        sockets=len(set(re.findall(r"^physical id\s*: (\d+)$", text, re.MULTILINE))) or 1,
        virtual=bool(re.search(r"^flags\s*:.*\bhypervisor\b", text, re.MULTILINE)),
        ram_gib=psutil.virtual_memory().total / GIB,
    )


# Words that vendors write around a model's name. The rest must be equal, word for word: a near miss is another CPU.
_NOISE = re.compile(r"\((r|tm)\)|@.*|\b(cpu|processor|0|\d+-core|\d+th gen|with radeon.*)(?=\s|$)")


def _words(cpu_name: str) -> frozenset[str]:
    return frozenset(_NOISE.sub(" ", cpu_name.lower()).split())


@cache
def _tdp_watts() -> dict[frozenset[str], float]:
    from codecarbon.input import DataSource  # loads pandas: only if a TDP is looked up

    table = DataSource().get_cpu_power_data()
    rows: Iterable[tuple[str, str]] = zip(table["Name"], table["TDP"].astype(str), strict=True)
    # A few rows of the table hold two numbers run together; they are left out.
    return {_words(name): float(watts) for name, watts in rows if re.fullmatch(r"\d+(\.\d+)?", watts)}


@cache
def _host_threads() -> dict[frozenset[str], int]:
    return {_words(name): threads for name, threads in HOST_THREADS.items()}
