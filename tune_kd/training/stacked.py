"""Students of one architecture, trained as one: each keeps its own weights, statistics and temperature.

Weights and statistics are stacked, [N, …] for N students. ``torch.func.vmap`` then makes one kernel for all of them out
of every layer, and the optimizer's step, which works element by element, is one step for all. The losses are each
student's own: those of its temperature, on its own logits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from tune_kd.data.batches import Batch
from tune_kd.models import fast
from tune_kd.tasks.base import Outputs
from tune_kd.training import loop
from tune_kd.training.step import Distillation
from tune_kd.training.student import Student

COUNT = "step"
"""The name of an optimizer's count of its steps: the only part of its state that has not the shape of a parameter."""


class StackedNetworks:
    """Networks of one architecture as one. Raises RuntimeError where ``vmap`` cannot stack them, as with dropout."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks = [network.train() for network in networks]
        self.parameters, self.buffers = stack_module_state(self.networks)
        self._pattern = self.networks[0]
        self._mapped = vmap(self._one, in_dims=(0, 0, None))

    def _one(self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], images: Tensor) -> Tensor:
        said: Tensor = functional_call(self._pattern, (parameters, buffers), (images,))
        return said

    def __call__(self, images: Tensor) -> Tensor:
        """The logits of all networks, [N, B, n], of the same images, [B, C, H, W]."""
        said: Tensor = self._mapped(self.parameters, self.buffers, images)
        return said

    @torch.no_grad()
    def hand_back(self) -> None:
        """Copy weights and statistics to the networks themselves."""
        for name, stacked in (*self.parameters.items(), *self.buffers.items()):
            for network, values in zip(self.networks, stacked.unbind(), strict=True):
                _tensor(network, name).copy_(values)


class StackedStudents:
    """Students, their optimizers and their schedules as one, for an epoch that all of them train next."""

    def __init__(self, students: Sequence[Student]) -> None:
        self.students = students
        self.networks = StackedNetworks([student.network for student in students])
        learned = [parameter for student in students for parameter in student.learned]
        recipe = students[0].spec.scenario.recipe
        self.optimizer = loop.optimizer(recipe, [*self.networks.parameters.values(), *learned])
        self.schedule = loop.schedule(recipe, self.optimizer, students[0].steps)
        self.schedule.load_state_dict(students[0].schedule.state_dict())
        self._take_states()
        self.rate = students[0].learning_rate()

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = rate

    def tell_rate(self) -> None:
        """Give each student the learning rate of the next step, for its temperature."""
        for student in self.students:
            student.optimizer.param_groups[0]["lr"] = self.rate

    def _take_states(self) -> None:
        """The optimizers' states, stacked as the parameters are."""
        for name, stacked in self.networks.parameters.items():
            states = [student.optimizer.state[_tensor(student.network, name)] for student in self.students]
            for part, value in states[0].items():
                stacks = isinstance(value, Tensor) and part != COUNT
                taken = torch.stack([state[part] for state in states]) if stacks else _copied(value)
                self.optimizer.state[stacked][part] = taken
        for student in self.students:
            for parameter in student.learned:
                self.optimizer.state[parameter] = student.optimizer.state[parameter]

    def hand_back(self) -> None:
        """Give the students what has become of them: weights, statistics, and the states of what trains them."""
        self.networks.hand_back()
        for name, stacked in self.networks.parameters.items():
            for part, value in self.optimizer.state[stacked].items():
                stacks = isinstance(value, Tensor) and part != COUNT
                for place, student in enumerate(self.students):
                    own = _copied(value[place] if stacks else value)
                    student.optimizer.state[_tensor(student.network, name)][part] = own
        for student in self.students:
            for parameter in student.learned:
                student.optimizer.state[parameter] = self.optimizer.state[parameter]
            student.schedule.load_state_dict(self.schedule.state_dict())
        self.tell_rate()


def train_stacked(distillations: Sequence[Distillation], batches: Iterator[Batch]) -> list[float]:
    """Train the students of these distillations for an epoch of the same ``batches``; the mean loss of each."""
    stacked, first = StackedStudents([each.student for each in distillations]), distillations[0]
    asking = [each for each in distillations if each.asks]
    precision = first.student.spec.scenario.precision

    def losses_of(number: int, batch: Batch) -> Tensor:
        stacked.tell_rate()
        taught = asking[0].taught(number, batch) if asking else None
        with fast.autocast(batch.images.device, precision):
            logits = first.task.outputs(stacked.networks, batch.images).logits
        losses = [
            each.loss(number, batch, Outputs(own), taught if each in asking else None)
            for each, own in zip(distillations, logits.unbind(), strict=True)
        ]
        return torch.stack(losses)

    losses = loop.train_epoch(first.student.network, batches, stacked.optimizer, stacked.schedule, losses_of)
    stacked.hand_back()
    found: list[float] = losses.tolist()
    return found


@functools.cache
def warm_up() -> None:
    """Stack two toys once in this process: ``vmap`` loads much at its first call, which is no trial's cost."""
    toys = StackedNetworks([torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2)) for _ in range(2)])
    toys(torch.rand(2, 1, 2, 2)).sum().backward()


def _tensor(network: nn.Module, name: str) -> Tensor:
    """A parameter or a buffer of a network, by its name."""
    *path, last = name.split(".")
    found: Tensor = getattr(network.get_submodule(".".join(path)), last)
    return found


def _copied(value: Tensor | float | None) -> Tensor | float | None:
    return value.clone() if isinstance(value, Tensor) else value
