"""How a student is quantized: the table ``quantization`` of a scenario."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tune_kd.config.fields import Count, Fraction, Frozen, Positive
from tune_kd.config.training import Recipe


class Quantization(Frozen):
    """Quantization-aware training, after the epochs of the recipe, of the weights that those have given."""

    bits: Literal[8] = 8  # of weights and activations
    epochs: Count | None = None  # None: a tenth of the recipe's, at least one
    lr: Positive | None = None  # of the first step, then along a cosine to 0; None: a tenth of the recipe's last
    observed: Fraction = 0.5  # in this share of the epochs the ranges of activations move; in the first they always do
    reduce_range: Annotated[bool, Field(strict=True)] | None = None  # 7-bit activations; None: where the CPU needs them

    def epochs_after(self, recipe: Recipe) -> int:
        """How many epochs follow those of ``recipe``."""
        return self.epochs or max(1, round(recipe.epochs / 10))

    def lr_after(self, recipe: Recipe) -> float:
        """The learning rate of the first step after ``recipe``."""
        last = recipe.lr * recipe.gamma ** sum(at < recipe.epochs for at in recipe.milestones)
        return self.lr or last / 10

    def observes(self, epoch: int, recipe: Recipe) -> bool:
        """Do ranges move in ``epoch``? 0 is the first after ``recipe``."""
        return epoch < max(1, round(self.observed * self.epochs_after(recipe)))

    def settled(self, recipe: Recipe) -> Quantization:
        """The same with numbers for what follows from ``recipe``."""
        return self.model_copy(update={"epochs": self.epochs_after(recipe), "lr": self.lr_after(recipe)})
