"""How a network is trained, and what its images are normalised by: tables of a scenario."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tune_kd.config.fields import Count, Fraction, Frozen, NotNegative, Positive


class Recipe(Frozen):
    """How a network is trained. Milestones are epochs at which the learning rate is multiplied by ``gamma``."""

    epochs: Count = 100
    batch_size: Annotated[int, Field(ge=2)] = 128
    optimizer: Literal["sgd", "adam"] = "sgd"
    lr: Positive = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 5e-4
    milestones: tuple[Count, ...] = (40, 60, 80)
    gamma: Positive = 0.2
    warmup_epochs: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    crop_padding: Annotated[int, Field(ge=0)] = 0
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Recipe:
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ValueError("nesterov needs optimizer = 'sgd' and momentum > 0")
        return self


class Normalisation(Frozen):
    """Mean and standard deviation of each channel, in 0..1: what images are centred and scaled by."""

    mean: tuple[Fraction, ...]
    std: tuple[Positive, ...]

    @model_validator(mode="after")
    def _one_of_each_a_channel(self) -> Normalisation:
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std need one value a channel each, got {len(self.mean)} and {len(self.std)}")
        return self
