"""What a stage of ``gpu.py`` is given, and what it trains.

On a GPU that is ResNet18 → MobileNetV2 at 32×32 in batches of 128, in bfloat16. In a rehearsal on the CPU the same code
trains tiny networks: on small images where a folder is given, else on the embedded digits.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gpu_figures import Figures
from speed_trial import ALPHA, BATCH

from tune_kd.config.scenario import Scenario, load_scenario

VALIDATION = 0.1
FEWEST = 200  # training images: each class needs some in every part
SMALL_IMAGES = {"teacher": "wrn-16-1", "student": "wrn-10-1", "image_size": 16}
ONE_WORKER = {"max_concurrent": 1}  # of a rehearsal: most of its time is the start of workers


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a stage works with: the device, a folder of images (None: digits), its time, where its figures go."""

    device: torch.device
    data: str | None
    seconds: float
    out: Path
    figures: Figures

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def cores(self) -> int:
        """That a trial which has the machine to itself uses: all of them, in a rehearsal one."""
        return len(os.sched_getaffinity(0)) if self.on_gpu else 1

    @property
    def batch(self) -> int:
        """Images of a batch."""
        return BATCH if self.on_gpu else 16

    def settings(self, *, images: int, epochs: int) -> dict[str, Any]:
        """Fields of the scenario for at least so many training images and so many epochs."""
        small = SMALL_IMAGES if self.data is not None and not self.on_gpu else {}
        return {
            **small,
            "precision": "bfloat16",
            "alpha": ALPHA,
            "validation_fraction": VALIDATION,
            "train_limit": max(round(images / (1 - VALIDATION)) + 16, FEWEST),
            "test_limit": 2000 if self.on_gpu else 50,
            "teacher_recipe.batch_size": self.batch,
            "teacher_recipe.epochs": 1,
            "recipe.batch_size": self.batch,
            "recipe.epochs": epochs,
        }

    def scenario(self, *, images: int, epochs: int, compiled: bool = False) -> Scenario:
        """The scenario with these settings."""
        settings = {**self.settings(images=images, epochs=epochs), "compile": compiled}
        if self.data is None:
            return load_scenario("digits").changed(settings)
        return load_scenario("images").changed({**settings, "data": str(Path(self.data).resolve())})


def stage(name: str, description: str | None) -> Stage:
    """The stage that the command line asks for; its figures go to ``NAME.jsonl``."""
    asked = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", help="a folder of images, as for tune-kd run --data; none: the embedded digits")
    asked.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    asked.add_argument("--seconds", type=float, default=120, help="that the stage may take")
    asked.add_argument("--out", type=Path, default=Path("gpu-figures"), help="folder of the figures")
    given = asked.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    return Stage(
        device=torch.device(given.device),
        data=given.data,
        seconds=given.seconds,
        out=given.out,
        figures=Figures(given.out / f"{name}.jsonl"),
    )
