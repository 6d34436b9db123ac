"""int8 beside float32: bytes, CPU time of prediction in onnxruntime, and what a step of fake-quantized training takes.

    python benchmarks/quantized.py [--rounds 3] [--images 100] [--batch 32]

Networks for 10 classes at 32×32 with random weights, on one core. Times are CPU time, the least of the rounds, in which
all take turns. The table is that of docs/quantization.md; nothing is promised.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import nn

from tune_kd.models import build, fast, onnx
from tune_kd.training import quantized

NETWORKS = ("mobilenetv2", "shufflenetv2")
SHAPE = (3, 32, 32)


def main() -> None:
    """A line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=100, help="that are predicted")
    parser.add_argument("--batch", type=int, default=32, help="images of a step of training")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in NETWORKS:
        torch.manual_seed(0)
        network = build(name, classes=10, channels=SHAPE[0], image_size=SHAPE[1])
        float32, int8, steps = measured(network, options)
        sizes = f"{float32[0] / 1e6:.2f} MB, int8 {int8[0] / 1e6:.2f} MB, {float32[0] / int8[0]:.1f} times smaller"
        times = f"{1e3 * float32[1]:.0f} ms, int8 {1e3 * int8[1]:.0f} ms, {float32[1] / int8[1]:.1f} times faster"
        print(f"{name}: {sizes}; {options.images} images {times}; a step fake-quantized {steps:.2f} times float32")
    print(f"torch {torch.__version__}, {onnx.runtime()}")


def measured(network: nn.Module, options: argparse.Namespace) -> tuple[tuple[int, float], tuple[int, float], float]:
    """Bytes and CPU seconds of the float32 network and of the int8 one, and the ratio of a step of training."""
    images, batch = torch.rand(options.images, *SHAPE), torch.rand(options.batch, *SHAPE)
    trained = fast.for_training(copy.deepcopy(network), torch.device("cpu")).train()
    prepared = quantized.prepare(network, batch, reduce_range=quantized.saturates())
    steps = [lambda graph=graph: graph(batch).sum().backward() for graph in (trained, prepared)]
    plain, fake = least(steps, options.rounds)
    int8 = quantized.convert(prepared)
    ready = [onnx.OnnxNetwork(onnx.as_onnx(each, SHAPE)) for each in (network.eval(), int8)]
    seconds = least([lambda each=each: each(images) for each in ready], options.rounds)
    sizes = [quantized.weight_bytes(each) for each in (network, int8)]
    return (sizes[0], seconds[0]), (sizes[1], seconds[1]), fake / plain


def least(actions: list[Callable[[], object]], rounds: int) -> list[float]:
    """The least CPU seconds of each action, after one that warms up."""
    found = [float("inf")] * len(actions)
    for turn in range(rounds + 1):
        for place, action in enumerate(actions):
            before_s = time.process_time()
            action()
            if turn:
                found[place] = min(found[place], time.process_time() - before_s)
    return found


if __name__ == "__main__":
    main()
