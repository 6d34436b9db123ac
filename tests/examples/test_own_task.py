"""examples/own_task.py runs as it is, and its scores are those of its own metric."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from tune_kd.tasks.catalogue import TASKS

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_task.py"


def test_a_task_of_ones_own_is_trained_and_judged_by_its_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "balanced-classification", TASKS["classification"])  # so that it is taken out again
    with torch.random.fork_rng(devices=()):
        made = runpy.run_path(str(EXAMPLE))
    assert [report.epoch for report in made["reports"]] == [1, 2, 3]
    task, data, scenario = (made[name] for name in ("task", "data", "scenario"))
    network = made["teacher"].network(scenario, data)
    part = task.on_device(data.validation, torch.device("cpu"))
    named = task.evaluate(network, part, data, "float32").predictions.classes
    labels = torch.from_numpy(data.validation.labels)
    recalls = [(named[labels == label] == label).double().mean() for label in range(10)]
    assert made["teacher"].val_score == pytest.approx(float(torch.stack(recalls).mean()), rel=1e-12)
