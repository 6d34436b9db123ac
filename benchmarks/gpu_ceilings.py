"""What a device can do at most: FLOP/s of a large matrix product in bfloat16, bytes/s of a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

SIDE = {"cuda": 8192, "cpu": 256}  # of the matrices
COPIED_BYTES = {"cuda": 2**31, "cpu": 2**22}


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """The most that was reached. Of a copy both what is read and what is written count."""

    flop_per_s: float
    byte_per_s: float


def ceilings(device: torch.device, seconds: float) -> Ceilings:
    """Both ceilings, each measured for at least ``seconds``."""
    side, count = SIDE[device.type], COPIED_BYTES[device.type]
    left, right = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    product = torch.empty_like(left)
    source = torch.zeros(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Ceilings(
        flop_per_s=2 * side**3 * calls_per_s(lambda: torch.mm(left, right, out=product), device, seconds),
        byte_per_s=2 * count * calls_per_s(lambda: target.copy_(source), device, seconds),
    )


def calls_per_s(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """How many times a second ``call`` can be made, over at least ``seconds``; the first call is not timed."""
    call()
    calls = 1
    while True:
        wait_for(device)
        begun_s = time.perf_counter()
        for _ in range(calls):
            call()
        wait_for(device)
        took_s = time.perf_counter() - begun_s
        if took_s >= seconds:
            return calls / took_s
        calls *= 2


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
