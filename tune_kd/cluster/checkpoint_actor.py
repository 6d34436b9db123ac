"""Checkpoints of nodes that do not see the driver's cache: an actor on the driver's node reads and writes them there.

So a trial can be resumed and examined on any node, and a resumed run finds the checkpoints of its trials.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_kd.errors import RunFailed
from tune_kd.meter.client import find_actor
from tune_kd.storage import checkpoints

NAME = "checkpoint-actor"
WAIT_S = 30.0
"""How long a node that has just joined waits for the driver to start the actor."""


class CheckpointActor:
    """Reads and writes files of the driver's machine, by their path below ``folder``."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def write(self, name: str, content: bytes) -> None:
        checkpoints.write(self._folder / name, content)

    def read(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None


class DriverSlot:
    """A :class:`tune_kd.storage.checkpoints.Slot` on the driver's machine, by way of the actor."""

    def __init__(self, name: str) -> None:
        self._name = name
        actor = find_actor(NAME, WAIT_S)
        if actor is None:
            raise RunFailed(f"this node does not see the driver's cache, and nobody keeps {name} for it")
        self._actor = actor

    def write(self, content: bytes) -> None:
        ray.get(self._actor.write.remote(self._name, content))

    def read(self) -> bytes | None:
        content: bytes | None = ray.get(self._actor.read.remote(self._name))
        return content


def start_checkpoint_actor(folder: Path) -> Any:
    """Start the actor on this node, once; its handle. It lives as long as the handle."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(CheckpointActor).options(name=NAME, get_if_exists=True, num_cpus=0, scheduling_strategy=here)
    return actor.remote(str(folder))
