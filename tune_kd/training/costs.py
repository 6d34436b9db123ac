"""FLOPs of a trial, counted exactly from the images that passed through each network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tune_kd.config.scenario import Scenario
from tune_kd.meter import flops
from tune_kd.tasks.base import Data
from tune_kd.tasks.catalogue import task_of


@dataclass(frozen=True, kw_only=True)
class NetworkFlops:
    """FLOPs per image of a scenario's two networks. Counting takes a second: do it once for all trials."""

    student: flops.ModelFlops
    teacher: flops.ModelFlops
    student_twice: int = 0  # of differentiating the student's backward pass once more

    @classmethod
    def count(cls, scenario: Scenario, data: Data) -> NetworkFlops:
        """Counted on freshly built networks."""
        task = task_of(scenario)
        shape = task.image_shape(data)
        student, teacher = (task.build(name, data) for name in (scenario.student, scenario.teacher))
        twice = flops.differentiated_twice(student, shape)
        return cls(student=flops.count(student, shape), teacher=flops.count(teacher, shape), student_twice=twice)


class Passed(NamedTuple):
    """How many images an epoch passed through the networks."""

    trained: int = 0  # forward and backward through the student
    taught: int = 0  # of them: with the teacher's answer
    asked: int = 0  # of these: through the teacher itself, and not through what all trials share of it
    validated: int = 0  # through the student, in validation
    extra_forward: int = 0  # for the policy alone, as :class:`policies.base.ExtraPasses` counts them
    extra_backward: int = 0
    extra_teacher: int = 0
    extra_twice: int = 0


class Costs:
    """The FLOPs of an attempt so far."""

    def __init__(self, counted: NetworkFlops, synthesis: int = 0) -> None:
        """``synthesis``: what the attempt's own synthesis of images took."""
        self.student, self.teacher, self.synthesis = counted.student, counted.teacher, synthesis
        self.student_twice = counted.student_twice
        self.passed = Passed()

    def add(self, epoch: Passed) -> None:
        """One more epoch."""
        self.passed = Passed(*map(sum, zip(self.passed, epoch, strict=True)))

    def columns(self) -> dict[str, Any]:
        """The report's FLOP columns. ``flops_paper``: forward only, training images, every trial asks the teacher."""
        student, passed = self.student, self.passed
        forward, backward = student.forward * passed.trained, student.backward * passed.trained
        teacher, evaluation = self.teacher.forward * passed.asked, student.forward * passed.validated
        policy = (
            student.forward * passed.extra_forward
            + student.backward * passed.extra_backward
            + self.teacher.forward * passed.extra_teacher
            + self.student_twice * passed.extra_twice
        )
        return {
            "flops_forward": forward,
            "flops_backward": backward,
            "flops_teacher": teacher,
            "flops_eval": evaluation,
            "flops_policy": policy,
            "flops_synthesis": self.synthesis,
            "flops_executed": forward + backward + teacher + evaluation + policy + self.synthesis,
            "flops_paper": forward + self.teacher.forward * passed.taught,
            "flops_uncounted_ops": ",".join(sorted({*self.student.uncounted, *self.teacher.uncounted})),
        }
