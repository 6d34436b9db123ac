"""The readers of this node: those that work, and the remedy for those that do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_kd.meter.counter import Unavailable
from tune_kd.meter.nvml import LOOK, NvmlReader
from tune_kd.meter.power_model import PowerModel, detect
from tune_kd.meter.rapl import POWERCAP, RaplReader
from tune_kd.meter.readings import NodeReaders


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One reader: whether it works, what it reads or why it does not, and the remedy."""

    reader: str
    works: bool
    why: str
    remedy: str = ""


def open_readers(power: PowerModel | None = None, *, powercap: Path = POWERCAP, nvml: Any = None) -> NodeReaders:
    """The best readers of this node: counters where there are any, the power model for the rest."""
    return _open(power or detect(), powercap, nvml)[0]


def probe(power: PowerModel | None = None, *, powercap: Path = POWERCAP, nvml: Any = None) -> tuple[Finding, ...]:
    """The readers of this node, one finding each, for ``tune-kd doctor``."""
    return _open(power or detect(), powercap, nvml)[1]


def _open(power: PowerModel, powercap: Path, nvml: Any) -> tuple[NodeReaders, tuple[Finding, ...]]:
    rapl: RaplReader | None = None
    gpus: NvmlReader | None = None
    try:
        rapl = RaplReader(powercap)
        reads = f"counts {', '.join(rapl.packages)}" + (" and DRAM" if rapl.read().dram_j is not None else "")
        cpu = Finding(reader="RAPL", works=True, why=reads)
    except Unavailable as reason:
        cpu = Finding(reader="RAPL", works=False, why=reason.why, remedy=reason.remedy)
    try:
        gpus = NvmlReader(nvml or _pynvml())
        counted = [f"GPU {gpu.index} {gpu.name}: {gpu.method}" for gpu in gpus.gpus]
        why = ", ".join([*counted, *(f"not counted: {reason}" for reason in gpus.silent)])
        gpu = Finding(reader="NVML", works=True, why=why, remedy=LOOK if gpus.silent else "")
    except Unavailable as reason:
        gpu = Finding(reader="NVML", works=False, why=reason.why, remedy=reason.remedy)
    watts = f"CPU {power.cpu_watts:g} W at full load, RAM {power.ram_w:.3g} W: {power.source}"
    better = "" if rapl else "give --cpu-watts, --ram-watts-per-gib or --idle-share if you know better"
    model = Finding(reader="power model", works=True, why=watts, remedy=better)
    return NodeReaders(power, rapl, gpus), (cpu, gpu, model)


def _pynvml() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise Unavailable("the package nvidia-ml-py is not installed", "pip install nvidia-ml-py") from error
    return pynvml
