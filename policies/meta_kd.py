"""Meta-KD: the temperatures of student and teacher, learned by a meta-gradient on held-out data (Liu et al. 2022).

Across trials: nothing, one training.
Within a trial: τ_s and τ_t, both ``start`` at first. With every batch (``every=N``: every N) the student's next step
is looked ahead, w′ = w − η·∇_w L(w; τ_s, τ_t), and the two move against the gradient of the hard loss, the
cross-entropy, on held-out images at w′.

Source: "Meta Knowledge Distillation", arXiv 2202.07940. L is the scenario's loss with the weight τ_s·τ_t, which for a
common τ is Hinton's τ². The gradient is exact: it goes through the student's gradient. The look ahead is one plain
step at the recipe's rate η, without momentum and weight decay. The student is then trained on the batch at the new
temperatures. Adam's steps of ``rate`` on log τ, how often, the start, the range [0.5, 50] and the share held out are
this project's own choice.

The held-out images come from the training set, so the student trains on fewer; validation is not touched. All
computation for the temperatures is charged to the policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from policies.base import ExtraPasses, OwnRange, Softening, StepLoss, Temperature, TrainingStep, positive

LOWEST, HIGHEST = 0.5, 50.0


def softening(log_taus: Tensor) -> Softening:
    """The softening of log τ_s and log τ_t, [2]."""
    tau_student, tau_teacher = log_taus.exp()
    return Softening(tau_student, tau_teacher, tau_student * tau_teacher)


def look_ahead(step: TrainingStep, log_taus: Tensor) -> dict[str, Tensor]:
    """The student's weights, by name, after one plain gradient step: differentiable functions of ``log_taus``, [2]."""
    weights = {name: weight for name, weight in step.student.named_parameters() if weight.requires_grad}
    gradients = torch.autograd.grad(
        step.loss(softening(log_taus)),
        list(weights.values()),
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    pairs = zip(weights.items(), gradients, strict=True)
    return {name: weight - step.learning_rate * gradient for (name, weight), gradient in pairs}


def meta_gradient(step: TrainingStep, log_taus: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """∂/∂(log τ_s, log τ_t), [2], of the hard loss on held-out ``images`` at the weights of the look ahead.

    0 under a loss that τ does not enter.
    """
    log_taus = log_taus.detach().requires_grad_()
    loss = step.hard_loss(step.logits_at(look_ahead(step, log_taus), images), labels)
    (gradient,) = torch.autograd.grad(loss, [log_taus], allow_unused=True, materialize_grads=True)
    return gradient


class MetaLearned(Temperature):
    """τ_s and τ_t with their own optimizer, whose state is saved with them."""

    reads_teacher = False

    def __init__(self, *, start: float, rate: float, every: int, held_out: float) -> None:
        super().__init__()
        self.every, self.held_out = every, held_out
        # It requires no gradient, so the student's optimizer leaves it alone.
        self.log_taus = nn.Parameter(torch.full((2,), math.log(start)), requires_grad=False)
        self.optimizer = torch.optim.Adam([self.log_taus], lr=rate)

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        self.extra_passes = ExtraPasses()

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return softening(self.log_taus)

    def loss(self, step: TrainingStep) -> StepLoss:
        if step.number % self.every == 0:
            self._learn(step)
        return super().loss(step)

    def _learn(self, step: TrainingStep) -> None:
        images, labels = step.held_out()
        self.log_taus.grad = meta_gradient(step, self.log_taus, images, labels).nan_to_num_(0, 0, 0)
        self.optimizer.step()
        self.log_taus.grad = None
        self.log_taus.clamp_(math.log(LOWEST), math.log(HIGHEST))
        forward, backward, _, twice = self.extra_passes
        # The look ahead is a backward pass of the batch. The meta-gradient is a forward and a backward pass of the
        # held-out images, and a backward pass through that of the look ahead.
        batch, held_out = len(step.labels), len(labels)
        self.extra_passes = ExtraPasses(forward + held_out, backward + batch + held_out, twice=twice + batch)

    def get_extra_state(self) -> dict[str, Any]:
        """The optimizer's state."""
        return self.optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """The inverse of :meth:`get_extra_state`."""
        self.optimizer.load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class MetaKD(OwnRange):
    """Temperatures learned by looking ahead."""

    name: ClassVar[str] = "meta-kd"
    start: float = 4.0  # both temperatures at first
    rate: float = 0.03  # of Adam on log τ: a step changes τ by about as much in proportion
    every: int = 1  # batches from one look ahead to the next
    held_out: float = 0.1  # the share of the training set

    def __post_init__(self) -> None:
        if not LOWEST <= self.start <= HIGHEST:
            raise ValueError(f"start must be a temperature from {LOWEST:g} to {HIGHEST:g}, got {self.start}")
        positive("rate", self.rate)
        if self.every < 1:
            raise ValueError(f"every must be ≥ 1 batch, got {self.every}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be a share of the training set between 0 and 1, got {self.held_out}")

    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        return MetaLearned(start=self.start, rate=self.rate, every=self.every, held_out=self.held_out)
