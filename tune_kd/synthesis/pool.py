"""A pool of synthesised images: kept by content like a teacher, and then a data set like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tune_kd.budget.cost import Cost
from tune_kd.config.scenario import Scenario
from tune_kd.config.synthesis import Synthesis
from tune_kd.data.image_set import ImageData, ImageSet
from tune_kd.storage import checkpoints
from tune_kd.storage.checkpoints import Slot
from tune_kd.tasks.base import Data


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Images, uint8 [N, C, H, W], the labels that they were aimed at and those that the teacher names, int64 [N].

    Where images are aimed at no label, both are what the teacher names.
    """

    images: Tensor
    labels: Tensor
    named: Tensor
    cost: Cost

    @property
    def agreement(self) -> float:
        """The share of images that the teacher names as was aimed at, a fraction."""
        return (self.labels == self.named).double().mean().item()


def pool_id(scenario: Scenario, teacher_id: str, seed: int, *, data_sha256: str, gpu: bool) -> str:
    """A hash of everything that makes the pool of a replicate with this ``seed``, 16 hexadecimal digits.

    Validation does not: it is cut from the same pool.
    """
    wanted = _synthesis(scenario)
    ingredients = {
        "teacher": teacher_id,
        "seed": seed,
        "method": wanted.method,
        "images": wanted.images,
        "batch_size": wanted.batch_size,
        "options": None if wanted.own is None else wanted.own.model_dump(mode="json"),
        "data": data_sha256 if wanted.method == "real" else None,
        "gpu": gpu,
        "torch": torch.__version__,
        "code": metadata.version("tune-kd"),
    }
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def pool_folder(identity: str) -> str:
    """The name in the cache of the folder of the pool with this id."""
    return f"pools/{identity}"


def trial_pools(run_id: str) -> str:
    """The name in the cache of the folder with the pools that a run's trials make for themselves."""
    return f"pools/of-trials/{run_id}"


def trial_pool(run_id: str, trial_id: str) -> str:
    """The name in the cache of the folder of the pool that a trial makes for itself."""
    return f"{trial_pools(run_id)}/{trial_id}"


@dataclass(frozen=True)
class PoolFiles:
    """The files of one pool: one a batch, and one that says how far it is. ``place`` says where a file is, by name.

    A batch counts once the file that says how far the pool is counts it: what dies in between is made again, the same.
    """

    place: Callable[[str], Path | Slot]

    def write(self, number: int, images: Tensor, labels: Tensor | None, cost: Cost) -> None:
        """Keep batch ``number`` and what it cost."""
        state = {"images": images, "labels": labels, "cost": asdict(cost)}
        checkpoints.save(self._batch(number), state)

    def made(self, batches: int, method: Mapping[str, Any]) -> None:
        """So many batches are there; the next ones depend on this state of the method.

        A pool that another command has completed meanwhile stays complete: trials read it.
        """
        if not self.is_complete:
            checkpoints.save(self.place("state.pt"), {"batches": batches, "method": dict(method), "named": None})

    def complete(self, batches: int, named: Tensor, cost: Cost) -> None:
        """All batches are there; the teacher names the images ``named``, at this ``cost``."""
        checkpoints.save(self.place("state.pt"), {"batches": batches, "named": named, "cost": asdict(cost)})

    def charge(self, cost: Cost) -> None:
        """Add to the cost of a complete pool."""
        place = self.place("state.pt")
        state = checkpoints.load(place)
        assert state is not None, "the pool is complete"
        checkpoints.save(place, {**state, "cost": asdict(Cost.kept(state["cost"]) + cost)})

    def progress(self) -> tuple[int, Mapping[str, Any] | None]:
        """How many batches are there, and the method's state after them."""
        state = checkpoints.load(self.place("state.pt"))
        return (0, None) if state is None else (state["batches"], state.get("method"))

    @property
    def is_complete(self) -> bool:
        """Are all batches there, and named?"""
        batches, method = self.progress()
        return bool(batches) and method is None

    def batch(self, number: int) -> dict[str, Any]:
        """The images, labels and cost of batch ``number``."""
        state = checkpoints.load(self._batch(number))
        assert state is not None, "a batch that counts is there"
        return state

    def read(self) -> Pool | None:
        """The pool; None if it is not complete."""
        state = checkpoints.load(self.place("state.pt"))
        if state is None or state["named"] is None:
            return None
        batches = [self.batch(number) for number in range(state["batches"])]
        named, count = state["named"], len(state["named"])
        aimed = [batch["labels"] for batch in batches if len(batch["images"])]
        return Pool(
            images=torch.cat([batch["images"] for batch in batches])[:count],
            labels=named if any(labels is None for labels in aimed) else torch.cat(aimed)[:count],
            named=named,
            cost=sum((Cost.kept(batch["cost"]) for batch in batches), start=Cost.kept(state["cost"])),
        )

    def _batch(self, number: int) -> Path | Slot:
        return self.place(f"{number:05d}.pt")


def training_images(scenario: Scenario, data: Data) -> int:
    """How many images a student is trained on."""
    return len(data.train) if scenario.synthesis is None else scenario.synthesis.training_images


def synthetic_validation(scenario: Scenario) -> int:
    """How many images of a pool validate; 0 where images of the data set do."""
    return 0 if scenario.synthesis is None else scenario.synthesis.validation_images


def without_images(data: ImageData, scenario: Scenario) -> ImageData:
    """The data without training images, so that nobody can read one, and where validation is synthetic without its own.

    What pixels are normalised by is that of the data set, which the teacher was trained with.
    """
    nothing = _nothing(data.train)
    validation = data.validation if _synthesis(scenario).validation == "real" else nothing
    return replace(data, train=nothing, validation=validation, normalisation=(data.mean, data.std))


def with_pool(data: ImageData, pool: Pool, scenario: Scenario) -> ImageData:
    """The data with the pool as their training images, and where validation is synthetic as those that validate, too.

    Images train with the label that they were aimed at, and validate with the one that the teacher names.
    """
    kept = _synthesis(scenario).training_images
    images, labels, named = (values.numpy() for values in (pool.images, pool.labels, pool.named))
    train = ImageSet(images=images[:kept], labels=labels[:kept])
    held_out = ImageSet(images=images[kept:], labels=named[kept:])
    return replace(data, train=train, validation=held_out if len(held_out) else data.validation)


def _nothing(part: ImageSet) -> ImageSet:
    return ImageSet(images=part.images[:0].copy(), labels=np.empty(0, dtype=np.int64))


def _synthesis(scenario: Scenario) -> Synthesis:
    assert scenario.synthesis is not None, "a pool is of a scenario that synthesises"
    return scenario.synthesis
