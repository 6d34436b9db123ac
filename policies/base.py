"""The contract: a policy says how τ is chosen, in two halves.

Across trials, its *searcher* suggests hyperparameters, one set a trial. Within a trial, its
*temperature*, a module, gives τ for every batch. The temperature of a method that replaces more than τ also
overrides ``loss``, which by default is the scenario's under the softening of the batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler
    from ray.tune.search import Searcher

    from search_spaces import Space


class Softening(NamedTuple):
    """How one batch is softened.

    Logits are [B, n] or [B, A, n], the classes last. Each part is (), or has the dimensions of the logits with size 1
    where it does not vary: [B, 1] or [B, 1, 1] for each sample, [B, A, 1] for each anchor.
    """

    tau_student: Tensor
    tau_teacher: Tensor
    weight: Tensor  # the factor of the KL term: τ² for Hinton's loss, so that its gradient is flat in τ


class TrainingStep(Protocol):
    """One batch in training: the argument of :meth:`Temperature.loss`."""

    number: int  # of the epoch; 0 is the first
    images: Tensor  # [B, C, H, W], normalised
    labels: Tensor  # [B] or [B, A] class indices
    student: nn.Module  # in training mode
    student_logits: Tensor  # [B, n] or [B, A, n], with their graph
    teacher_logits: Tensor | None  # of the same shape, without one; None in an epoch without the teacher
    learning_rate: float  # of the step that follows

    def cross_entropy(self) -> Tensor:
        """The student's hard loss on the batch, a scalar: that of its logits.

        What a task learns besides classes, such as the places of boxes, is in no policy's hands. Its loss is added to
        whatever loss a policy gives.
        """

    def hard_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of ``logits`` from the labels alone, a scalar: their mean cross-entropy."""

    def squared_distance(self, one: Tensor, other: Tensor) -> Tensor:
        """The mean of (one − other)², a scalar, over the softmaxes of the batch that the task distils."""

    def distillation(self, softening: Softening) -> Tensor:
        """The mean of weight·KL(q_t ‖ q_s) by the scenario's reduction, a scalar."""

    def loss(self, softening: Softening) -> Tensor:
        """The scenario's loss, a scalar: α·distillation + (1 − α)·hard loss."""

    def logits_at(self, weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """The student's logits at other ``weights``, by name; its own and its statistics stay as they are."""

    def held_out(self) -> HeldOut:
        """The next batch of the held-out images (:attr:`Temperature.held_out`). The first follows the last."""


class HeldOut(NamedTuple):
    """A batch of images that the student is not trained on: cut from the training set, never from validation."""

    images: Tensor  # [B, C, H, W], normalised, not augmented
    labels: Tensor  # [B] or [B, A] class indices


class ExtraPasses(NamedTuple):
    """Images that a policy passed through the networks beyond one pass of each batch. Their FLOPs are charged."""

    forward: int = 0  # through the student
    backward: int = 0  # through the student
    teacher: int = 0  # forward through the teacher
    twice: int = 0  # backward through a backward pass of the student, as a meta-gradient goes


class StepLoss(NamedTuple):
    """The loss that is minimised, and the τ that the report shows."""

    loss: Tensor  # scalar
    tau: Tensor | None  # the student's, as in a Softening; None if none was used


class Temperature(nn.Module, ABC):
    """τ within one trial. A module, so that a learned τ has parameters and every τ a state to checkpoint.

    The student's optimizer trains the parameters that require a gradient, by the recipe.
    """

    held_out: float = 0.0  # the share of the training set that is set aside for it
    needs_teacher: bool = True  # in this epoch; read after ``begin_epoch``
    reads_teacher: bool = True  # in forward; if not, a loss without a distillation term never runs the teacher
    extra_passes = ExtraPasses()  # of this epoch; read at its end

    def begin_epoch(self, epoch: int, epochs: int, steps: int) -> None:
        """Prepare the ``steps`` batches of ``epoch`` (0 is the first of ``epochs``).

        Whatever is random or follows a schedule goes to the device here, all of the epoch's τ at once,
        so that no step waits for the device.
        """

    @abstractmethod
    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        """The softening of batch ``step`` of the epoch; both logits are [B, n] or [B, A, n].

        The teacher's are an empty tensor if :attr:`reads_teacher` is False and the loss has no teacher.
        """

    def loss(self, step: TrainingStep) -> StepLoss:
        """The loss of one batch: the scenario's, softened; a method that replaces more than τ overrides it."""
        softening = self.softening(step)
        return StepLoss(step.loss(softening), softening.tau_student)

    def softening(self, step: TrainingStep) -> Softening:
        """The softening of the batch. Raises ValueError in an epoch without a teacher."""
        teacher_logits = torch.empty(0) if step.teacher_logits is None else step.teacher_logits
        if step.teacher_logits is None and self.reads_teacher:
            raise ValueError(
                f"{type(self).__name__} needs no teacher in this epoch, so it must give a loss without one"
            )
        softening: Softening = self(step.number, step.student_logits, teacher_logits)
        return softening

    def observe(self, report: Mapping[str, Any]) -> None:
        """Feedback after each epoch: the columns of the store's ``reports`` table."""


class Policy(ABC):
    """How τ is chosen. A subclass is a frozen dataclass; its fields are its options, checked when it is made."""

    name: ClassVar[str]
    moves_within: ClassVar[bool] = False  # does τ move within a trial?
    adapts: ClassVar[bool] = False  # do results decide what is tried, or stopped, next?

    def native_trials(self, space: Space) -> int | None:
        """How many trials the recipe asks for; None: as many as the budget has."""
        return 1

    def searcher(self, space: Space, seed: int) -> Searcher:
        """What varies across trials. By default nothing: every trial is an independent restart."""
        from policies.searchers import Restarts  # imported here: a trial runs without Ray

        return Restarts(self.restart_params(space))

    def restart_params(self, space: Space) -> dict[str, float]:
        """The range of the space as trial parameters, for a policy that moves τ within a trial."""
        bounds = {"tau_low": space.tau.low, "tau_high": space.tau.high}
        return bounds if space.tau.step is None else {**bounds, "tau_step": space.tau.step}

    def scheduler(self) -> TrialScheduler | None:
        """Early stopping across trials; None runs every trial to its end."""
        return None

    @abstractmethod
    def temperature(self, params: Mapping[str, float], seed: int) -> Temperature:
        """The temperature of a trial with ``params``. Same params and seed: same sequence of τ."""


class OwnRange(Policy, ABC):
    """A policy that moves τ within a trial over a range of its own. It ignores the space."""

    moves_within: ClassVar[bool] = True

    def restart_params(self, space: Space) -> dict[str, float]:
        return {}


class Constant(Temperature):
    """One τ for the whole trial. Grid, random and TPE search for it."""

    reads_teacher = False

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.register_buffer("tau", torch.tensor(positive("tau", tau)))

    def forward(self, step: int, student_logits: Tensor, teacher_logits: Tensor) -> Softening:
        return hinton(self.get_buffer("tau"))


def hinton(tau: Tensor) -> Softening:
    """The same τ for student and teacher, and the weight τ² (Hinton et al. 2015)."""
    return Softening(tau, tau, tau.square())


def positive(name: str, value: float) -> float:
    """``value`` as a float. Raises ValueError if it is not finite and > 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a finite number > 0, got {value}")
    return float(value)
