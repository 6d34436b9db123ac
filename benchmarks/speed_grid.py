"""Twenty trials through the whole engine against twenty times the reference loop, the same nets, batch and images.

Promise: at least 2.3 times the images/s on 2 cores, with the teacher's shared pass, validation and tests of the trials
in the engine's time. The reference's speed is measured on a few batches with all cores, before and after the engine,
and taken for all twenty. Starting Ray and training the teacher, which both would need, is in neither.

    python benchmarks/speed_grid.py --data DIR [--precision float32|bfloat16] [--batches 8] [--epochs 2] [--trials 20]
"""

from __future__ import annotations

import os
import statistics
import tempfile
from itertools import islice
from pathlib import Path

import torch
from speed_trial import ALPHA, BATCH, device, full_size, parser, read, reference_turns

import tune_kd

PROMISE = 2.3


def main() -> None:
    asked = parser(__doc__)
    asked.add_argument("--epochs", type=int, default=2, help="of a trial")
    asked.add_argument("--trials", type=int, default=20)
    options = asked.parse_args()
    cores = os.cpu_count() or 1
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    options.scenario = full_size(options)
    data = read(options.scenario, options.batches)
    reference = reference_turns(data, options, device())
    next(reference)  # warm
    before = [speed for speed, _ in islice(reference, options.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "precision": options.precision,
            "compile": options.compile,
            "alpha": ALPHA,
            "test_limit": 200,
            "teacher_recipe.epochs": 1,
            "recipe.epochs": options.epochs,
        }
        store = tune_kd.run(
            "random",
            budget=f"{options.trials}trials",
            data=options.data,
            train_limit=round(BATCH * options.batches / 0.9) + 16,
            settings=settings,
            store=Path(folder) / "runs",
            cache=Path(folder) / "cache",
        ).store
        run, trials = store.runs().iloc[0], store.trials()
    after = [speed for speed, _ in islice(reference, options.rounds)]
    images = len(data.train) * options.epochs * len(trials)
    wall_s = (trials.ended_at.max() - run.started_at).total_seconds()
    theirs, ours = statistics.median([*before, *after]), images / wall_s
    print(
        f"reference, {options.threads} threads: {theirs:.1f} images/s, in turns {[round(s, 1) for s in before + after]}"
    )
    print(f"engine in {options.precision}, {cores} CPUs: {images} images of {len(trials)} trials in {wall_s:.1f} s,")
    print(f"  {run.shared_s:.1f} s of a worker for the shared pass, {trials.train_s.sum():.1f} s in training")
    print(f"engine {ours:.1f} images/s: {ours / theirs:.2f} times (promise on 2 cores {PROMISE:g})")


if __name__ == "__main__":
    main()
