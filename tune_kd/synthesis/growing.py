"""A pool that grows while a student is trained, each batch made against the student as it is by then."""

from __future__ import annotations

import torch
from torch import nn

from tune_kd.budget.cost import Cost
from tune_kd.data.image_set import ImageSet
from tune_kd.synthesis.synthesise import Synthesiser


class GrowingPool:
    """The pool of one trial of so many ``epochs``: before each of them, its share of the batches is made.

    An epoch always has as many images as the whole pool: those that are there are repeated until the others are made.
    So the epochs have as many steps as with a pool that is complete.
    """

    def __init__(self, synthesiser: Synthesiser, epochs: int) -> None:
        self._synthesiser, self._epochs = synthesiser, epochs
        self._images, self._labels = list[torch.Tensor](), list[torch.Tensor]()

    @property
    def size(self) -> int:
        """Images of an epoch."""
        return self._synthesiser.wanted.synthesis.images

    def grow(self, epoch: int, student: nn.Module) -> Cost:
        """Make the batches that are due before ``epoch``, 0 is the first; what those cost that were missing.

        Raises SynthesisFailed.
        """
        wanted = self._synthesiser.wanted
        due = -(-wanted.batches * (epoch + 1) // self._epochs)
        return self._synthesiser.make(max(due, wanted.unkept + 1), student)

    def images(self) -> ImageSet:
        """The images of an epoch, with the labels that they were aimed at."""
        for number in range(len(self._images), self._synthesiser.batches):
            batch = self._synthesiser.files.batch(number)
            self._images.append(batch["images"])
            self._labels.append(batch["labels"])
        images, labels = torch.cat(self._images), torch.cat(self._labels)
        again = torch.arange(self.size) % len(images)
        return ImageSet(images=images[again].numpy(), labels=labels[again].numpy())
