"""A run that is broken off while the teacher is being asked for all of its trials goes on with the rest."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pandas as pd
import pytest

import tune_kd
from tune_kd.budget.ledger import Ledger
from tune_kd.errors import Interrupted
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.training.teacher_outputs import outputs_id

pytestmark = pytest.mark.slow

EPOCHS, DONE = 4, 2
SMALL = {"recipe.epochs": EPOCHS, "teacher_recipe.epochs": 1, "train_limit": 400}
RESULTS = ["index", "params_json", "val_score", "val_loss", "test_score"]


class BrokenOff(Progress):
    """Lets the disk refuse what the teacher says in one epoch, and interrupts the driver when it has noticed."""

    def __init__(self, outputs: Path, teacher_id: str) -> None:
        self._outputs, self._teacher_id = outputs, teacher_id
        self.folder = outputs

    def run_started(self, plan: RunPlan, ledger: Ledger) -> None:
        self.folder = self._outputs / outputs_id(self._teacher_id, plan.scenario, plan.seed, cpus=1, gpus=0)
        self._obstacle.mkdir(parents=True)

    def note(self, text: str) -> None:
        if self._obstacle.is_dir():
            self._obstacle.rmdir()
            os.kill(os.getpid(), signal.SIGINT)

    @property
    def _obstacle(self) -> Path:
        return self.folder / f"{DONE:05d}.logits.pt"


def test_the_rest_is_computed_and_every_epoch_is_charged_once(ray_running, cache, tmp_path):
    plan = {"budget": "2trials", "settings": SMALL, "max_concurrent": 1, "gpus_per_trial": 0, "cache": cache}
    whole = tune_kd.run("random", store=tmp_path / "whole", **plan).store
    cost = whole.runs().shared_flops.item()

    place = tmp_path / "runs"
    broken_off = BrokenOff(cache / "teacher_outputs", whole.runs().teacher_id.item())
    with pytest.raises(Interrupted):
        tune_kd.run("random", store=place, progress=broken_off, **plan)
    before = tune_kd.open_store(place)
    charged = before.runs().iloc[0]
    assert len(before.trials()) == 0
    assert len(list(broken_off.folder.glob("*.cost.pt"))) == DONE
    assert charged.shared_flops * EPOCHS == cost * DONE, "what was computed is charged at once"

    resumed = tune_kd.resume(store=place, max_concurrent=1, gpus_per_trial=0, cache=cache).store
    run, trials = resumed.runs().iloc[0], resumed.trials()
    assert run.shared_flops == cost
    assert run.shared_energy_j > charged.shared_energy_j
    assert run.shared_s > charged.shared_s
    assert (trials.flops_teacher == 0).all(), "no trial had to ask the teacher itself"
    pd.testing.assert_frame_equal(trials[RESULTS], whole.trials()[RESULTS], check_exact=True)
    assert resumed.verify() == []
