"""The student of one trial: what is trained, what trains it, and the weights that it hands out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from policies import Policy
from policies.base import Temperature
from tune_kd.config.scenario import Scenario
from tune_kd.config.seeds import trial_seed
from tune_kd.models import fast
from tune_kd.tasks.base import Data, Evaluation, Task
from tune_kd.training import loop, quantized

STATEFUL = ("network", "optimizer", "schedule", "temperature", "chosen")


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """What makes a trial: with the data and the teacher this repeats it."""

    run_id: str
    trial_id: str
    index: int
    replicate_seed: int
    scenario: Scenario
    policy: Policy
    params: Mapping[str, float]
    attempt: int = 0
    reported: int | None = None  # the last epoch that the driver received; None: not known, assume all but the last

    @property
    def seed(self) -> int:
        """Of the initial weights and the τ draws."""
        return trial_seed(self.replicate_seed, self.index)

    @property
    def alpha(self) -> float:
        """The weight of the distillation term: the trial's own, where α is searched, else the scenario's."""
        return self.params.get("alpha", self.scenario.distillation_weight)


class Student:
    """A network with its temperature, and once the length of an epoch is known its optimizer and schedule."""

    def __init__(self, spec: TrialSpec, task: Task, data: Data, device: torch.device) -> None:
        self.spec, self._task, self._data, self._device = spec, task, data, device
        torch.manual_seed(spec.seed)
        self.network = fast.for_training(task.build(spec.scenario.student, data), device)
        self.temperature: Temperature = spec.policy.temperature(spec.params, spec.seed).to(device)
        # What holds images out looks ahead through the student's gradient, which a compiled network does not have.
        compiled = spec.scenario.compile and not self.temperature.held_out
        self.forward = fast.through(self.network, compiled=compiled)
        self.chosen = Chosen(rule=spec.scenario.checkpoint)
        self.before: Before | None = None  # what it was quantized from; None: it is in float32

    def optimize(self, steps: int) -> None:
        """Make the optimizer and its schedule, for epochs of so many ``steps``."""
        recipe, self.steps = self.spec.scenario.recipe, steps
        self.optimizer = loop.optimizer(recipe, self._trained())
        self.schedule = loop.schedule(recipe, self.optimizer, steps)

    def _trained(self) -> list[nn.Parameter]:
        return [*self.network.parameters(), *self.learned]

    @property
    def learned(self) -> list[nn.Parameter]:
        """What the temperature learns beside the network."""
        return [parameter for parameter in self.temperature.parameters() if parameter.requires_grad]

    def begin_epoch(self, epoch: int) -> None:
        """Be ready to be trained in ``epoch``, 0 is the first. After the recipe's the chosen weights are quantized.

        Weights that are not finite have no ranges: a student that has diverged stays in float32.
        Raises InputError for a network that cannot be quantized.
        """
        wanted, recipe = self.spec.scenario.quantization, self.spec.scenario.recipe
        if wanted is None or epoch < recipe.epochs:
            return
        if self.before is None:
            if loop.not_finite(self.chosen.weights):
                return
            reduce_range = quantized.saturates() if wanted.reduce_range is None else wanted.reduce_range
            self._quantize(Before(chosen=self.chosen, reduce_range=reduce_range))
        quantized.observe(self.network, on=wanted.observes(epoch - recipe.epochs, recipe))

    def _quantize(self, before: Before) -> None:
        """Put the network for quantization-aware training in place of the one in float32, with all that trains it."""
        scenario = self.spec.scenario
        wanted, recipe = scenario.quantization, scenario.recipe
        assert wanted is not None
        network = self._task.build(scenario.student, self._data).to(self._device)
        network.load_state_dict(before.chosen.weights)
        images = torch.zeros(2, *self._task.image_shape(self._data), device=self._device)
        self.network = quantized.prepare(network, images, reduce_range=before.reduce_range)
        self.forward, self.before = quantized.Forward(self.network), before
        self.chosen = Chosen(rule=before.chosen.rule)
        gentle = recipe.model_copy(update={"lr": wanted.lr_after(recipe)})
        self.optimizer = loop.optimizer(gentle, self._trained())
        self.schedule = loop.cosine(self.optimizer, wanted.epochs_after(recipe) * self.steps)

    def evaluated(self) -> nn.Module:
        """The network to be evaluated: none of the images that it is shown will move a range."""
        if self.before is not None:
            quantized.observe(self.network, on=False)
        return self.network

    def learning_rate(self) -> float:
        """Of the next step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def is_finite(self) -> bool:
        """Are all weights and statistics of the network finite? Waits for the device once."""
        # The ranges of a graph are infinite until an image has passed.
        weights = self.network.state_dict() if self.before is None else dict(self.network.named_parameters())
        return not loop.not_finite(weights)

    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs."""
        before = None if self.before is None else self.before.state_dict()
        return {**{name: getattr(self, name).state_dict() for name in STATEFUL}, "before": before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        if state["before"] is not None:
            self._quantize(Before.of(state["before"], self.chosen.rule))
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])


class Chosen:
    """The weights that a trial hands out: of its last epoch, or of the best by validation (the earliest of equals)."""

    def __init__(self, *, rule: str) -> None:
        self.rule, self.epoch = rule, 0
        self.score, self.loss = -math.inf, math.inf
        self.weights: dict[str, Tensor] = {}  # a state_dict

    def offer(self, epoch: int, validation: Evaluation, network: nn.Module) -> None:
        """Consider the weights after ``epoch``."""
        if self.rule == "last" or validation.score > self.score:
            self.epoch, self.score, self.loss = epoch, validation.score, validation.loss
            self.weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "score": self.score, "loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.score, self.loss = state["epoch"], state["score"], state["loss"]
        self.weights = state["weights"]


@dataclass(frozen=True, kw_only=True)
class Before:
    """What a student was quantized from."""

    chosen: Chosen  # of the recipe's epochs
    reduce_range: bool  # do its activations have 7 bits?

    @classmethod
    def of(cls, state: Mapping[str, Any], rule: str) -> Before:
        """The inverse of :meth:`state_dict`."""
        chosen = Chosen(rule=rule)
        chosen.load_state_dict(state["chosen"])
        return cls(chosen=chosen, reduce_range=state["reduce_range"])

    def state_dict(self) -> dict[str, Any]:
        return {"chosen": self.chosen.state_dict(), "reduce_range": self.reduce_range}
