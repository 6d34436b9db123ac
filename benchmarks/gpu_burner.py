"""A program that makes a given number of matrix products on a device.

    python gpu_burner.py cuda 5000

It prints a line once it is ready, so that its start is not counted. It begins when a line arrives on its standard
input, and prints the seconds that it took. It stays until another line arrives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from gpu_ceilings import wait_for

SIDE = {"cuda": 4096, "cpu": 128}
AT_A_TIME = 20


def product(device: torch.device) -> Callable[[], object]:
    """One matrix product, always the same."""
    side = SIDE[device.type]
    left, right = (torch.randn(side, side, dtype=torch.bfloat16, device=device) for _ in range(2))
    result = torch.empty_like(left)
    return lambda: torch.mm(left, right, out=result)


def main(device: torch.device, products: int) -> None:
    torch.set_num_threads(1)
    multiply = product(device)
    multiply()
    wait_for(device)
    print("ready", flush=True)
    sys.stdin.readline()
    begun_s = time.perf_counter()
    for number in range(products):
        multiply()
        if number % AT_A_TIME == 0:  # or thousands of launches would be waiting
            wait_for(device)
    wait_for(device)
    print(time.perf_counter() - begun_s, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(torch.device(sys.argv[1]), int(sys.argv[2]))
