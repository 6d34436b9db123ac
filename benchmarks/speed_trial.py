"""One trial against the reference loop: ResNet18 → MobileNetV2 at 32×32, batch 128, the same images, machine and run.

Promises: at least 1.7 times the reference's images/s on 2 cores, 10 times on an H200-class GPU. The two take turns, so
that other work on the machine meets both, each in a process of its own, the engine's started like a worker's; of each
turn the first batch is left out. CPU seconds are those of the training process alone: the reference's loader
processes, which do its augmentation, come on top.

    python benchmarks/speed_trial.py --data DIR [--precision float32|bfloat16] [--compile] [--batches 8] [--rounds 3]

On a GPU a turn is 64 batches unless ``--batches`` says otherwise: the first of them, which is not timed, leaves the
reference's loader time to make a few more, and of few that would be many. ``--peak-tflops X``, what the device can do
in this precision, adds the share of it that the engine reaches.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import reference_loop
import torch
from torch import nn

from tune_kd import models
from tune_kd.cluster.session import KEEP_MEMORY, environment
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario, load_scenario
from tune_kd.data import ImageData
from tune_kd.meter.carbon import carbon
from tune_kd.meter.energy import Energy
from tune_kd.meter.pace import Pace
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.costs import NetworkFlops
from tune_kd.training.student import TrialSpec
from tune_kd.training.trial import Place, Trial

BATCH, TAU, ALPHA = 128, 4.0, 0.95
PROMISE = {"cpu": 1.7, "cuda": 10.0}
BATCHES = {"cpu": 8, "cuda": 64}  # of a turn
Turn = tuple[float, float]  # images per second, images per CPU second
Turns = Callable[[ImageData, argparse.Namespace, torch.device], Iterator[Turn]]


class NoMeter:
    """Measures nothing: this is about time."""

    co_tenants = None
    pace = Pace()

    def mark(self) -> Energy:
        return Energy()


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of both speed benchmarks."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", required=True, help="a folder of images, as for tune-kd run --data")
    made.add_argument("--precision", default="bfloat16", choices=["float32", "bfloat16"], help="of the engine")
    made.add_argument("--compile", action="store_true", help="the engine's networks")
    made.add_argument("--batches", type=int, default=BATCHES[device().type], help="that a turn trains on")
    made.add_argument("--rounds", type=int, default=3, help="turns of each")
    made.add_argument("--threads", type=int, default=2, help="that a training on the CPU uses")
    made.add_argument("--workers", type=int, default=2, help="loader processes of the reference")
    return made


def full_size(options: argparse.Namespace) -> Scenario:
    """ResNet18 → MobileNetV2 at 32×32, on as many images as the batches of a turn take."""
    settings = {
        "data": options.data,
        "precision": options.precision,
        "compile": options.compile,
        "alpha": ALPHA,
        "train_limit": round(BATCH * options.batches / 0.9) + 16,
        "test_limit": 200,
        "recipe.batch_size": BATCH,
        "recipe.epochs": options.rounds + 1,
    }
    return load_scenario("images").changed(settings)


def read(scenario: Scenario, batches: int) -> ImageData:
    """The scenario's images, at least ``batches`` of them to train on."""
    with tempfile.TemporaryDirectory() as cache:
        data = task_of(scenario).load(scenario, Path(cache))
    needed = scenario.recipe.batch_size * batches
    assert len(data.train) >= needed, f"{scenario.data} has too few images for {batches} batches"
    return data


def network(name: str, data: ImageData) -> nn.Module:
    return models.build(name, classes=len(data.classes), channels=data.channels, image_size=data.image_size)


def reference_turns(data: ImageData, options: argparse.Namespace, device: torch.device) -> Iterator[Turn]:
    """The speed of one epoch of the reference loop after the other."""
    torch.manual_seed(0)
    scenario, batch = options.scenario, options.scenario.recipe.batch_size
    student, teacher = (network(name, data).to(device) for name in (scenario.student, scenario.teacher))
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    count = batch * options.batches
    loader = reference_loop.loader(
        data.train.images[:count],
        data.train.labels[:count],
        mean=data.mean,
        std=data.std,
        batch=batch,
        workers=options.workers,
    )
    while True:
        batches = iter(loader)
        train = {"tau": TAU, "alpha": ALPHA, "device": device}
        reference_loop.train_epoch(student, teacher, [next(batches)], optimizer, **train)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        reference_loop.train_epoch(student, teacher, batches, optimizer, **train)
        images = count - batch
        yield images / (time.perf_counter() - wall_s), images / (time.process_time() - cpu_s)


def engine_turns(data: ImageData, options: argparse.Namespace, device: torch.device) -> Iterator[Turn]:
    """The speed of one epoch of a trial after the other; the first of them warms up."""
    reports = trial_of(options.scenario, data, device).fit()
    before_s = next(reports).train_s
    while True:
        cpu_s = time.process_time()
        report = next(reports)
        train_s, before_s = report.train_s - before_s, report.train_s
        busy_s = time.process_time() - cpu_s
        # Validation is in the CPU seconds: it counts against the engine.
        yield len(data.train) / train_s, len(data.train) / busy_s


def trial_of(scenario: Scenario, data: ImageData, device: torch.device) -> Trial:
    """A trial that has not begun, its teacher untrained: what it says costs the same."""
    spec = TrialSpec(
        run_id="speed",
        trial_id="speed-0000",
        index=0,
        replicate_seed=0,
        scenario=scenario,
        policy=make_policy("grid"),
        params={"tau": TAU},
    )
    place = Place(device=device, meter=NoMeter(), carbon=carbon(), node_id="here")
    return Trial(spec, data, network(scenario.teacher, data), place)


def serve(turns: Turns, data: ImageData, options: argparse.Namespace, asked: Connection) -> None:
    """Take a turn whenever asked for one, and answer with its speed."""
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    speeds = turns(data, options, device())
    while asked.recv():
        asked.send(next(speeds))


def in_process(
    turns: Turns, data: ImageData, options: argparse.Namespace, variables: Mapping[str, str]
) -> Iterator[Turn]:
    """The same turns, taken in a new process with these variables in its environment."""
    context, (here, there) = multiprocessing.get_context("spawn"), multiprocessing.Pipe()
    process = context.Process(target=serve, args=(turns, data, options, there))
    with environment(variables):
        process.start()
    there.close()
    try:
        while True:
            here.send(True)
            yield here.recv()
    finally:
        here.send(False)
        process.join()


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def flops_per_image(counted: NetworkFlops) -> int:
    """Of a training step: the student forward and backward, the teacher forward."""
    return counted.student.forward + counted.student.backward + counted.teacher.forward


def peak_share(images_per_s: float, flops: int, peak_tflops: float) -> float:
    """The share of ``peak_tflops`` (10¹² FLOP/s) that ``images_per_s`` of so many FLOPs each are."""
    return images_per_s * flops / (peak_tflops * 1e12)


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument(
        "--peak-tflops", type=float, help="of the device in this precision; for the share that is reached"
    )
    options = asked.parse_args()
    options.scenario = full_size(options)
    data = read(options.scenario, options.batches)
    reference = in_process(reference_turns, data, options, {})
    engine = in_process(engine_turns, data, options, KEEP_MEMORY)
    turns = []
    for number in range(options.rounds):
        turns.append((next(reference), next(engine)))
        (theirs, _), (ours, _) = turns[-1]
        print(f"turn {number + 1}: reference {theirs:.1f}, engine {ours:.1f} images/s: {ours / theirs:.2f}", flush=True)
    for place, what in enumerate(("images/s", "images per CPU second")):
        theirs, ours = (statistics.median(turn[who][place] for turn in turns) for who in (0, 1))
        print(f"{what}: reference {theirs:.1f}, engine in {options.precision} {ours:.1f}: {ours / theirs:.2f} times")
    if options.peak_tflops:
        flops = flops_per_image(NetworkFlops.count(options.scenario, data))
        share = peak_share(statistics.median(ours for _, (ours, _) in turns), flops, options.peak_tflops)
        print(f"engine: {share:.2%} of {options.peak_tflops:g} TFLOP/s, at {flops / 1e9:.3f} GFLOPs an image")
    where = torch.cuda.get_device_name() if device().type == "cuda" else f"{options.threads} CPU threads"
    print(f"on {where}; the promise is {PROMISE[device().type]:g} times the images/s")


if __name__ == "__main__":
    main()
