"""Detection: a trial of SSD300-VGG16 → SSDLite-MobileNetV2 against a plain loop, and mAP of a test set of VOC's size.

Promises: at least 1.3 times the images of ``detection_loop`` for each CPU second, and mAP of 4,952 images × 200 boxes
in at most 30 s. The trial and the loop take turns, each in a process of its own, the engine's started like a worker's;
of the loop's turn the first batch is left out, of the engine's the whole first epoch. CPU seconds are all of a process:
with ``--workers 0`` those of the loop's augmentation, too. Where they go is measured in the loop itself; of the engine,
batches and teacher are timed once more on their own, and the student has the rest.

    python benchmarks/detection.py --data DIR [--batch 8] [--batches 3] [--rounds 3] [--threads 1] [--workers 0]
    python benchmarks/detection.py --only mAP
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import detection_loop
import numpy as np
import torch
from speed_trial import NoMeter, in_process

from tune_kd.cluster.session import KEEP_MEMORY
from tune_kd.config.catalogue import make_policy
from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.meter.carbon import carbon
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.detection.average_precision import curves
from tune_kd.tasks.detection.detections import Detections, Truth
from tune_kd.tasks.detection.scores import mean_average_precision
from tune_kd.training.student import TrialSpec
from tune_kd.training.teacher_outputs import ask
from tune_kd.training.trial import Place, Trial

TAU, ALPHA, VALIDATION = 4.0, 0.5, 0.1
PROMISE, PROMISED_S = 1.3, 30
PARTS = ("batches", "teacher", "student", "validation")
VOC_TEST = {"images": 4_952, "objects": 14_976, "classes": 20}
Turn = tuple[float, ...]  # images per second and per CPU second, then CPU ms an image of each of PARTS


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--only", choices=["speed", "mAP"], help="one of the two measurements")
    made.add_argument("--data", help="a folder of photographs in VOC's layout, as for tune-kd run --data")
    made.add_argument("--batch", type=int, default=8, help="images of a batch")
    made.add_argument("--batches", type=int, default=3, help="that a turn trains on")
    made.add_argument("--rounds", type=int, default=3, help="turns of each")
    made.add_argument("--precision", default="float32", choices=["float32", "bfloat16"], help="of the engine")
    made.add_argument("--threads", type=int, default=1, help="that a training uses")
    made.add_argument("--workers", type=int, default=0, help="loader processes of the plain loop")
    made.add_argument("--images", type=int, default=VOC_TEST["images"], help="whose detections are judged")
    made.add_argument("--boxes", type=int, default=200, help="detections of each of them")
    return made


def scenario(options: argparse.Namespace) -> Scenario:
    """The full-size pair on as many photographs as the batches of a turn take."""
    settings = {"recipe.epochs": options.rounds + 1, "recipe.batch_size": options.batch, "recipe.lr": 1e-4}
    return Scenario(
        name="speed",
        task="detection",
        data=options.data,
        teacher="ssd300-vgg16",
        student="ssdlite-mobilenetv2",
        augmentation="ssdlite",
        alpha=ALPHA,
        precision=options.precision,
        validation_fraction=VALIDATION,
        train_limit=round(options.batch * options.batches / (1 - VALIDATION)),
        test_limit=8,
    ).changed(settings)


def loop_turns(data: DetectionData, options: argparse.Namespace, device: torch.device) -> Iterator[Turn]:
    """One epoch of the plain loop after the other."""
    torch.manual_seed(0)
    classes, count = len(data.classes) + 1, options.batch * options.batches
    student, teacher = detection_loop.student(classes), detection_loop.teacher(classes)
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)
    loader = detection_loop.loader(data.train, count=count, batch=options.batch, workers=options.workers)
    while True:
        batches = iter(loader)
        train = {"tau": TAU, "alpha": ALPHA}
        detection_loop.train_epoch(student, teacher, [next(batches)], optimizer, **train)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        spent = detection_loop.train_epoch(student, teacher, batches, optimizer, **train)
        images = count - options.batch
        speeds = images / (time.perf_counter() - wall_s), images / (time.process_time() - cpu_s)
        yield (*speeds, *(1e3 * seconds / images for seconds in spent.parts.values()), 0.0)


def engine_turns(data: DetectionData, options: argparse.Namespace, device: torch.device) -> Iterator[Turn]:
    """One epoch of a trial after the other; its first warms up. Validation counts against it."""
    trial = trial_of(data, options, device)
    reports, images = trial.fit(), len(trial.train_part)
    before_s = next(reports).train_s
    while True:
        cpu_s = time.process_time()
        report = next(reports)
        busy_s = time.process_time() - cpu_s
        train_s, before_s = report.train_s - before_s, report.train_s
        batches_s, teacher_s, validation_s = on_their_own(trial)
        parts = batches_s, teacher_s, busy_s - batches_s - teacher_s - validation_s, validation_s
        yield (images / train_s, images / busy_s, *(1e3 * seconds / images for seconds in parts))


def trial_of(data: DetectionData, options: argparse.Namespace, device: torch.device) -> Trial:
    what, policy = scenario(options), make_policy("fixed")
    spec = TrialSpec(
        run_id="speed",
        trial_id="speed-0000",
        index=0,
        replicate_seed=0,
        scenario=what,
        policy=policy,
        params={"tau": TAU},
    )
    place = Place(device=device, meter=NoMeter(), carbon=carbon(), node_id="here")
    return Trial(spec, data, task_of(what).build(what.teacher, data), place)


def on_their_own(trial: Trial) -> tuple[float, float, float]:
    """CPU seconds of an epoch's batches, of the teacher's answers to them, and of validation."""
    what, teacher = trial.spec.scenario, trial.teacher
    assert teacher is not None
    batches, batches_s = cpu_s(
        lambda: list(trial.task.batches(trial.train_part, trial.data, trial.recipe, seed=0, epoch=trial.epoch))
    )
    _, teacher_s = cpu_s(lambda: [ask(trial.task, teacher, batch.images, what.precision) for batch in batches])
    network = trial.student.network
    _, validation_s = cpu_s(lambda: trial.task.evaluate(network, trial.validation_part, trial.data, what.precision))
    return batches_s, teacher_s, validation_s


def cpu_s(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call gives, and the CPU seconds that it takes."""
    before = time.process_time()
    return call(), time.process_time() - before


def speed(options: argparse.Namespace) -> None:
    what = scenario(options)
    with tempfile.TemporaryDirectory() as cache:
        data = task_of(what).load(what, Path(cache))
    assert len(data.train) >= options.batch * 2, f"{options.data} has too few images for 2 batches of {options.batch}"
    loop, engine = in_process(loop_turns, data, options, {}), in_process(engine_turns, data, options, KEEP_MEMORY)
    turns = []
    for number in range(options.rounds):
        turns.append((next(loop), next(engine)))
        theirs, ours = (turn[1] for turn in turns[-1])
        print(f"turn {number + 1}: loop {theirs:.2f}, engine {ours:.2f} images per CPU second: {ours / theirs:.2f}")
    medians = [[statistics.median(column) for column in zip(*who, strict=True)] for who in zip(*turns, strict=True)]
    for place, what_of in enumerate(("images/s", "images per CPU second")):
        theirs, ours = (of[place] for of in medians)
        print(f"{what_of}: loop {theirs:.2f}, engine in {options.precision} {ours:.2f}: {ours / theirs:.2f} times")
    for place, part in enumerate(PARTS, start=2):
        theirs, ours = (of[place] for of in medians)
        print(f"  {part}: loop {theirs:.0f}, engine {ours:.0f} CPU ms an image")
    print(f"{options.threads} CPU threads, batches of {options.batch}; the promise is {PROMISE:g} times per CPU second")


def voc_sized(images: int, boxes: int) -> tuple[Detections, Truth]:
    """So many random detections an image, half of them near an object of their class; a tenth of objects difficult."""
    rng = np.random.default_rng(0)
    count, classes = round(VOC_TEST["objects"] * images / VOC_TEST["images"]), VOC_TEST["classes"]
    corner = rng.uniform(0, 200, (count, 2))
    places = np.concatenate([corner, corner + rng.uniform(20, 100, (count, 2))], axis=1).astype(np.float32)
    there = Truth(
        np.sort(rng.integers(0, images, count)), places, rng.integers(1, classes + 1, count), rng.random(count) < 0.1
    )
    image = np.repeat(np.arange(images), boxes)
    near = np.searchsorted(there.image, image).clip(max=count - 1)
    known = (rng.random(len(image)) < 0.5) & (there.image[near] == image)
    labels = np.where(known, there.labels[near], rng.integers(1, classes + 1, len(image)))
    moved = (places[near] + rng.normal(0, 10, (len(image), 4))).astype(np.float32)
    return Detections(image, moved, labels, rng.random(len(image), dtype=np.float32)), there


def mean_ap(options: argparse.Namespace) -> None:
    found, there = voc_sized(options.images, options.boxes)
    wall_s = time.perf_counter()
    score, busy_s = cpu_s(lambda: mean_average_precision(curves(found, there, VOC_TEST["classes"])))
    wall_s = time.perf_counter() - wall_s
    print(
        f"mAP of {options.images:,} images × {options.boxes} boxes: {score:.4f} in {busy_s:.1f} CPU s, {wall_s:.1f} s "
        f"in all; the promise is {PROMISED_S} s"
    )


def main() -> None:
    asked = parser()
    options = asked.parse_args()
    if options.only != "mAP":
        if not options.data:
            asked.error("--data is needed: a folder of photographs in VOC's layout, or give --only mAP")
        speed(options)
    if options.only != "speed":
        torch.set_num_threads(options.threads)
        mean_ap(options)


if __name__ == "__main__":
    main()
