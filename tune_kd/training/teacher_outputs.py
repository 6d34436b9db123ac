"""What a teacher says of the batches of an epoch: computed once, kept in a file, read by every trial of a replicate.

The batch stream is a function of (replicate seed, epoch), so that trials which share see what they would have been
told otherwise, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from tune_kd.budget.cost import Cost
from tune_kd.config.scenario import Scenario, augmentation_of
from tune_kd.losses import wide
from tune_kd.models import fast
from tune_kd.models.fast import Network
from tune_kd.storage import checkpoints
from tune_kd.storage.checkpoints import Slot
from tune_kd.tasks.base import Data, Outputs, Part, Task
from tune_kd.tasks.catalogue import task_of

MAPPED_FROM_BYTES = 256 * 2**20
"""An epoch's file of this size or more is memory-mapped, a smaller one is read whole."""

LONGEST_WAIT_S = 600.0
"""How long logits are waited for that are being computed, in seconds; then the trial asks the teacher itself."""


def outputs_id(
    teacher_id: str, scenario: Scenario, seed: int, pool_id: str | None = None, *, cpus: float, gpus: float
) -> str:
    """A hash of all that the logits depend on, to the last bit: teacher, batch stream, and how it is computed.

    ``pool_id`` is that of the synthesised images, where the training images are not the data set's.
    """
    recipe = scenario.recipe
    ingredients = {
        "teacher": teacher_id,
        "seed": seed,
        "batch_size": recipe.batch_size,
        "augmentation": [recipe.flip, recipe.crop_padding, recipe.rotation_degrees],
        **augmentation_of(scenario),
        **_images_of(scenario, pool_id),
        "precision": scenario.precision,
        "compile": scenario.compile,
        "threads": max(1, int(cpus)),
        "gpu": gpus > 0,
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def _images_of(scenario: Scenario, pool_id: str | None) -> dict[str, object]:
    """Which images are trained on, where they are not the data set's."""
    if scenario.synthesis is None:
        return {}
    return {"pool": pool_id, "images": scenario.synthesis.training_images}


@dataclass(frozen=True, kw_only=True)
class TeacherOutputs:
    """The logits of a batch stream by epoch. ``place`` says where a file of them is, by its name.

    ``awaited`` are epochs whose logits somebody computes at this moment: a reader waits for those.
    """

    place: Callable[[str], Path | Slot]
    awaited: frozenset[int] = frozenset()

    def write(self, epoch: int, logits: Tensor) -> None:
        """Keep the logits of ``epoch``, float32 [images, n] or [images, A, n]; they count once their cost is, too."""
        checkpoints.save(self.place(f"{epoch:05d}.logits.pt"), {"logits": logits.cpu()})

    def write_cost(self, epoch: int, cost: Cost) -> None:
        """Keep what it cost to compute the logits of ``epoch``: from now on they are shared."""
        checkpoints.save(self.place(f"{epoch:05d}.cost.pt"), asdict(cost))

    def give_up(self, epoch: int) -> None:
        """Say that the logits of ``epoch`` will not come, to those who wait for them."""
        checkpoints.save(self.place(f"{epoch:05d}.given-up.pt"), {})

    def cost(self, epoch: int) -> Cost | None:
        """What the logits of ``epoch`` cost; None where there are none."""
        state = checkpoints.load(self.place(f"{epoch:05d}.cost.pt"))
        return None if state is None else Cost.kept(state)

    def read(self, epoch: int) -> Tensor | None:
        """The logits of ``epoch``, memory-mapped where they are many; None where there are none.

        Those of an ``awaited`` epoch are waited for until they are there or given up, :data:`LONGEST_WAIT_S` at most.
        """
        if epoch in self.awaited:
            self._wait(epoch)
        if self.cost(epoch) is None:
            return None
        place = self.place(f"{epoch:05d}.logits.pt")
        if isinstance(place, Path) and place.is_file() and place.stat().st_size >= MAPPED_FROM_BYTES:
            mapped: dict[str, Tensor] = torch.load(place, mmap=True, weights_only=True)
            return mapped["logits"]
        state = checkpoints.load(place)
        return None if state is None else state["logits"]

    def _wait(self, epoch: int) -> None:
        until_s = time.monotonic() + LONGEST_WAIT_S
        while self.cost(epoch) is None and time.monotonic() < until_s:
            if checkpoints.load(self.place(f"{epoch:05d}.given-up.pt")) is not None:
                return
            time.sleep(0.1)


def teach(teacher: Network, part: Part, data: Data, scenario: Scenario, *, seed: int, epoch: int) -> Tensor:
    """The logits of all batches of an epoch, one after the other, as a trial asks for them.

    They are float32, [images, n] or [images, A, n].
    """
    task = task_of(scenario)
    batches = task.batches(part, data, scenario.recipe, seed=seed, epoch=epoch)
    return torch.cat([ask(task, teacher, batch.images, scenario.precision).logits for batch in batches])


def ask(task: Task, teacher: Network, images: Tensor, precision: str) -> Outputs:
    """What a teacher made by :func:`tune_kd.models.fast.for_inference` says; its logits are float32."""
    with torch.inference_mode(), fast.autocast(images.device, precision):
        logits, rest = task.outputs(teacher, images)
        logits = wide(logits)
    # Ordinary tensors, which a backward pass may keep: τ may be learned.
    return Outputs(logits.clone(), tuple(part.clone() for part in rest))
