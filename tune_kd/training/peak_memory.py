"""The most memory that a trial has held."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

CLEAR_REFS = Path("/proc/self/clear_refs")  # Linux


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak of whatever ran in this process before: workers are reused."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        with contextlib.suppress(OSError):  # a sandbox may forbid it: then the peak is the process's, not the trial's
            CLEAR_REFS.write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device) -> int | None:
    """The device's peak allocation, or this process's peak resident set, since the reset."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if CLEAR_REFS.exists():
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), None)
    return None
