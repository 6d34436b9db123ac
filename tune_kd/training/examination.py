"""The one reading of the test set: the checkpoint that validation chose, measured apart from the training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from tune_kd.config.scenario import Scenario
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Meter
from tune_kd.storage import checkpoints
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of


def examine(
    scenario: Scenario,
    checkpoint: Path | checkpoints.Slot,
    data: Data,
    *,
    device: torch.device,
    meter: Meter,
    carbon: Carbon,
) -> dict[str, Any]:
    """Test metrics and inference costs of a trial's chosen weights, as columns of the ``trials`` table.

    Raises FileNotFoundError where there is no checkpoint.
    """
    state = checkpoints.load(checkpoint, device)
    if state is None:
        raise FileNotFoundError(f"no checkpoint at {checkpoint}")
    task = task_of(scenario)
    network = task.build(scenario.student, data).to(device)
    network.load_state_dict(state["chosen"]["weights"])
    images = task.on_device(data.test, device)
    before, started = meter.mark(), time.perf_counter()
    predictions = task.evaluate(network, images, data, scenario.precision).predictions
    inference_s = time.perf_counter() - started
    energy_j = (meter.mark() - before).total_j
    return {
        **task.test_columns(predictions, data),
        **task.explained(network, data, device),
        "inference_s": inference_s,
        "inference_energy_j": energy_j,
        "inference_co2e_g": carbon.co2e_g(energy_j),
    }
