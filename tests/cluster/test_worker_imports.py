"""What a worker has imported before its first trial: all that training takes, and not what only others need.

Who starts workers, counts FLOPs or trains a teacher does not import what trials take alone.
"""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import tune_kd.cluster.tasks
assert "ray.tune" not in sys.modules, "a second of CPU time in the worker that trains a teacher"
import tune_kd.cluster.worker
assert "torchvision" not in sys.modules, "a second of CPU time in every worker of a classification"
assert "sklearn" not in sys.modules, "most of a second in every worker that tests a trial"
assert "torch._dynamo" not in sys.modules, "a second of CPU time in every driver"

import torch
from torch import nn
from tune_kd.config.scenario import load_scenario
from tune_kd.training import loop, process

process.prepare_process(1)

before = set(sys.modules)
network = nn.Linear(3, 2)
recipe = load_scenario("digits").recipe
optimizer = loop.optimizer(recipe, list(network.parameters()))
loop.train_epoch(
    network, [torch.rand(4, 3)], optimizer, loop.schedule(recipe, optimizer, 1), lambda _, batch: network(batch).sum()
)
print(len(set(sys.modules) - before))
"""


def test_the_first_trial_of_a_worker_is_not_charged_for_imports_of_the_training() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 5, "modules that training an epoch imports"
