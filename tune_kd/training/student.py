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
from tune_kd.training import loop

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
        self.spec = spec
        torch.manual_seed(spec.seed)
        self.network = fast.for_training(task.build(spec.scenario.student, data), device)
        self.temperature: Temperature = spec.policy.temperature(spec.params, spec.seed).to(device)
        # What holds images out looks ahead through the student's gradient, which a compiled network does not have.
        compiled = spec.scenario.compile and not self.temperature.held_out
        self.forward = fast.through(self.network, compiled=compiled)
        self.chosen = Chosen(rule=spec.scenario.checkpoint)

    def optimize(self, steps: int) -> None:
        """Make the optimizer and its schedule, for epochs of so many ``steps``."""
        recipe = self.spec.scenario.recipe
        learned = (parameter for parameter in self.temperature.parameters() if parameter.requires_grad)
        self.optimizer = loop.optimizer(recipe, [*self.network.parameters(), *learned])
        self.schedule = loop.schedule(recipe, self.optimizer, steps)

    def learning_rate(self) -> float:
        """Of the next step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    def is_finite(self) -> bool:
        """Are all weights and statistics of the network finite? Waits for the device once."""
        return not loop.not_finite(self.network.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """All that a resume needs."""
        return {name: getattr(self, name).state_dict() for name in STATEFUL}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])


class Chosen:
    """The weights that a trial hands out: of its last epoch, or of the best by validation (the earliest of equals)."""

    def __init__(self, *, rule: str) -> None:
        self.rule, self.epoch = rule, 0
        self.score, self.loss = -math.inf, math.inf
        self._weights: dict[str, Tensor] = {}

    def offer(self, epoch: int, validation: Evaluation, network: nn.Module) -> None:
        """Consider the weights after ``epoch``."""
        if self.rule == "last" or validation.score > self.score:
            self.epoch, self.score, self.loss = epoch, validation.score, validation.loss
            self._weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "score": self.score, "loss": self.loss, "weights": self._weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.score, self.loss = state["epoch"], state["score"], state["loss"]
        self._weights = state["weights"]
