"""Stage 5 of ``gpu.py``: grid and stochastic τ compared, as many replicates as fit, into a store that stays.

The store is ``store/`` beside the figures. A replicate is added while it would end in time by the one before.
"""

from __future__ import annotations

import time
from typing import Any

from gpu_workload import ONE_WORKER, Stage, stage

import tune_kd
from tune_kd.cluster.session import ray_session

POLICIES = ["grid", "stochastic"]
EPOCHS, TRIALS = {"cpu": 1, "cuda": 3}, {"cpu": 2, "cuda": 20}
TEACHER = {"cpu": 1, "cuda": 5}  # epochs
IMAGES = {"cpu": 0, "cuda": 18_000}
MOST = {"cpu": 2, "cuda": 20}  # replicates
OPTIONS: dict[str, dict[str, Any]] = {"cpu": ONE_WORKER, "cuda": {"gpus_per_trial": 0.25}}
MARGIN = 1.3


def compared(here: Stage, begun_s: float) -> tuple[tune_kd.Store, int]:
    """The store, and the number of replicates in it."""
    kind, place = here.device.type, here.out / "store"
    settings = here.settings(images=IMAGES[kind], epochs=EPOCHS[kind]) | {"teacher_recipe.epochs": TEACHER[kind]}
    outcome = tune_kd.compare(
        POLICIES,
        budget=f"{TRIALS[kind]}trials",
        data=here.data,
        settings=settings,
        store=place,
        **OPTIONS[kind],
    )
    replicates, before_s = 1, begun_s
    while replicates < MOST[kind]:
        now_s = time.monotonic()
        if now_s + MARGIN * (now_s - before_s) > begun_s + here.seconds:
            break
        before_s, replicates = now_s, replicates + 1
        tune_kd.extend(outcome.study.study_id, replicates=replicates, store=place, **OPTIONS[kind])
    return outcome.store, replicates


def main() -> None:
    begun_s = time.monotonic()
    here = stage("records", __doc__)
    with here.figures.measuring("records"), ray_session(None):
        store, replicates = compared(here, begun_s)
        trials = store.trials()
        here.figures.add("records: replicates", replicates, note=f"{', '.join(POLICIES)}, {len(trials)} trials")
        methods = ", ".join(sorted(trials.energy_method.dropna().unique()))
        here.figures.add("records: energy of all trials", float(trials.energy_j.sum()), "J", methods)
        for policy, of_it in trials.merge(store.runs()[["run_id", "policy"]]).groupby("policy"):
            chosen = of_it.sort_values("val_score").groupby("run_id").test_accuracy.last()  # by validation, not by test
            here.figures.add(f"records: test accuracy, {policy}", float(chosen.mean()), "share", "mean over replicates")


if __name__ == "__main__":
    main()
