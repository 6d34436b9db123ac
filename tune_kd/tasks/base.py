"""The contract: a task says what is learned.

Trial, teacher, budget, meter, store, policies and analysis are the same for every task. They ask the task for what
differs: its data, networks and batches, its hard loss, its evaluation and the columns of a test. A policy knows nothing
of tasks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from tune_kd.config.scenario import Scenario
from tune_kd.config.training import Recipe
from tune_kd.data.batches import Batch
from tune_kd.losses import Mean
from tune_kd.models.fast import Network

Data = Any
"""A data set in three parts, ``train``, ``validation`` and ``test``; of classification a ``tune_kd.data.ImageData``."""

Part = Any
"""One part of the data, as it was loaded or on a device; its length is its number of images."""


class Outputs(NamedTuple):
    """What a network says of a batch."""

    logits: Tensor  # [B, n], or [B, A, n] for A anchors: the classes come last
    rest: tuple[Tensor, ...] = ()  # what the task alone reads, such as boxes [B, A, 4]


class Evaluation(NamedTuple):
    """What a pass over labelled images gives."""

    loss: float  # the mean hard loss
    score: float  # in the task's metric
    finite: bool  # were the loss and all outputs finite?
    predictions: Any  # what :meth:`Task.test_columns` is made of


class Task(Protocol):
    """What is learned, and how it is judged."""

    name: str  # the scenario's field ``task``
    metric: str  # what a score measures; larger is better. The column ``metric`` of ``runs``
    anchors: bool  # are logits [B, A, n], or [B, n]?
    data_names: tuple[str, ...]  # data sets that are no folders

    @property
    def shares_teacher(self) -> bool:
        """May trials share the teacher's logits of an epoch? Not where they are too large, or not all that is read."""

    def of(self, scenario: Scenario) -> Task:
        """This task under the scenario's options; itself, where it has none."""

    def check(self, scenario: Scenario) -> None:
        """Refuse networks that there are not, and fields that the task does not have. Raises InputError."""

    def load(self, scenario: Scenario, cache: Path, data_root: str | Path | None = None) -> Data:
        """The scenario's data, split. Raises InputError; RunFailed where a download fails."""

    def for_trials(self, data: Data) -> Data:
        """The data as every trial gets them: without the test part, for what a trial cannot see it cannot choose by."""

    def build(self, model: str, data: Data) -> nn.Module:
        """A freshly initialised network for the data, from torch's global generator. Raises InputError."""

    def try_out(self, model: str, data: Data) -> None:
        """Refuse a network of the user's own whose outputs do not fit the data. Raises InputError."""

    def pair(self, teacher: str, student: str, data: Data) -> None:
        """Refuse two networks whose outputs are not about the same. Raises InputError."""

    def image_shape(self, data: Data) -> tuple[int, int, int]:
        """(C, H, W) of one image: what FLOPs are counted on."""

    def on_device(self, part: Part, device: torch.device) -> Part:
        """A part of the data where batches are made of it."""

    def hold_out(self, part: Part, share: float, seed: int) -> tuple[Part, Part]:
        """The training part cut in two, the second a seeded ``share`` of it. Raises InputError."""

    def batches(self, part: Part, data: Data, recipe: Recipe, *, seed: int, epoch: int) -> Iterator[Batch]:
        """The recipe's batches of one epoch: order and augmentation are a pure function of (seed, epoch)."""

    def held_out_batches(self, part: Part, data: Data, recipe: Recipe, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Batches of what is held out, not augmented, without end."""

    def outputs(self, network: Network, images: Tensor) -> Outputs:
        """What the network says of images, [B, C, H, W]."""

    def hard_loss(self, outputs: Outputs, labels: Any) -> Tensor:
        """The loss of the logits on a batch's labels, a scalar, which α weighs against distillation: a cross-entropy.

        It reads the logits alone: a policy may ask it about logits at other weights.
        """

    def rest_loss(self, outputs: Outputs, batch: Batch, teacher: Outputs | None) -> Tensor | None:
        """The loss of the rest of the outputs, a scalar, added to every policy's loss with weight 1; None: no rest.

        ``teacher`` is what the teacher says of the batch, where it is asked.
        """

    def mean(self, outputs: Outputs, labels: Any) -> Mean:
        """How a value of each softmax of a batch, [B] or [B, A], becomes a scalar: by ``torch.mean``, or otherwise.

        Some tasks choose by the student's ``outputs`` which softmaxes count.
        """

    def evaluate(self, network: nn.Module, part: Part, data: Data, precision: str) -> Evaluation:
        """One pass in evaluation mode over a part, in its order. Outputs that are not finite are never right."""

    def test_columns(self, predictions: Any, data: Data) -> dict[str, Any]:
        """The columns of ``trials`` that a test of these predictions fills."""

    def examples(self, data: Data, *, pictures: bool) -> dict[str, Any] | None:
        """A few test images, the same for every network, as the column ``examples_json`` of ``runs``; None: none.

        The images themselves are among it with ``pictures`` alone.
        """

    def explained(self, network: nn.Module, data: Data, device: torch.device) -> dict[str, Any]:
        """The columns of ``trials`` with what a tested network says of these images, and where it looks."""


def with_rest(loss: Tensor, rest: Tensor | None) -> Tensor:
    """A loss and that of the rest of the outputs (:meth:`Task.rest_loss`)."""
    return loss if rest is None else loss + rest
