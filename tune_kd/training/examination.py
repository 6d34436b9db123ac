"""The one reading of the test set: the checkpoint that validation chose, measured apart from the training."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from tune_kd.config.scenario import Scenario
from tune_kd.meter.base import Meter
from tune_kd.meter.carbon import Carbon
from tune_kd.models import onnx
from tune_kd.storage import checkpoints
from tune_kd.tasks.base import Data, Evaluation
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.handed_out import HandedOut, handed_out
from tune_kd.training.quantized import weight_bytes


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

    Of a quantized trial they are those of the int8 network on the CPU, beside the float32 network that it was made of:
    both in onnxruntime, for a comparison across runtimes would be one of runtimes.
    Raises FileNotFoundError where there is no checkpoint.
    """
    state = checkpoints.load(checkpoint, device)
    if state is None:
        raise FileNotFoundError(f"no checkpoint at {checkpoint}")
    found, task = handed_out(state, scenario, data), task_of(scenario)
    if found.int8 is None:
        inference = _Inference(scenario, data, device, meter)
        tested = inference(found.float32.to(device))
        told = {"inference_runtime": f"torch {torch.__version__}", "weight_bytes": weight_bytes(found.float32)}
    else:
        inference = _Inference(scenario, data, torch.device("cpu"), meter)
        tested, told = _of_both(inference, found)
    return {
        **task.test_columns(tested.evaluation.predictions, data),
        **task.explained(found.float32.to(device), data, device),
        "inference_s": tested.duration_s,
        "inference_energy_j": tested.energy_j,
        "inference_co2e_g": carbon.co2e_g(tested.energy_j),
        **told,
    }


class _Tested(NamedTuple):
    """A pass over the test set, and what it took."""

    evaluation: Evaluation
    duration_s: float
    energy_j: float | None


@dataclass(frozen=True)
class _Inference:
    """A network over the test set, measured."""

    scenario: Scenario
    data: Data
    device: torch.device
    meter: Meter

    def __call__(self, network: nn.Module) -> _Tested:
        """The first pass through a network prepares much that the later ones find: it is over validation images."""
        task, precision = task_of(self.scenario), self.scenario.precision
        task.evaluate(network, task.on_device(self.data.validation, self.device), self.data, precision)
        images = task.on_device(self.data.test, self.device)
        before, started = self.meter.mark(), time.perf_counter()
        evaluation = task.evaluate(network, images, self.data, precision)
        duration_s = time.perf_counter() - started
        return _Tested(evaluation, duration_s, (self.meter.mark() - before).total_j)


def _of_both(inference: _Inference, found: HandedOut) -> tuple[_Tested, dict[str, Any]]:
    """The pass of the int8 network, and the columns that tell of it beside the float32 network."""
    assert found.int8 is not None
    shape = task_of(inference.scenario).image_shape(inference.data)
    float32, int8 = (inference(onnx.OnnxNetwork(onnx.as_onnx(each, shape))) for each in (found.float32, found.int8))
    return int8, {
        "inference_runtime": onnx.runtime(),
        "weight_bytes": weight_bytes(found.int8),
        "reduce_range": found.reduce_range,
        "float_test_score": float32.evaluation.score,
        "float_weight_bytes": weight_bytes(found.float32),
        "float_inference_s": float32.duration_s,
        "float_inference_energy_j": float32.energy_j,
    }
