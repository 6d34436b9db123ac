"""One training step of a trial on its own: what it computes, what it moves, and how it runs as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tune_kd.training.phases import Phases
from tune_kd.training.step import Distillation
from tune_kd.training.trial import Trial

BUSY = 0.8
"""A GPU that is busy for a smaller share of a step waits for launches."""


def step_of(trial: Trial) -> Callable[[], None]:
    """The trial's step on one batch of its own, the same again and again; without augmentation and schedule."""
    seed, epochs = trial.spec.replicate_seed, trial.recipe.epochs
    batch = next(iter(trial.task.batches(trial.train_part, trial.data, trial.recipe, seed=seed, epoch=0)))
    trial.student.temperature.begin_epoch(0, epochs, trial.steps)
    trial.student.network.train()
    distillation = Distillation(
        student=trial.student,
        task=trial.task,
        teacher=trial.teacher,
        phases=Phases(torch.device("cpu")),  # its clock waits for no device, and can be captured
        held_out=iter(()),
    )

    def step() -> None:
        loss = distillation(0, batch)
        trial.student.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trial.student.optimizer.step()

    return step


def captured(step: Callable[[], None]) -> Callable[[], None]:
    """The step as a CUDA graph: one launch for all of its kernels, on the same memory."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # buffers of the optimizer and plans of cuDNN are made outside the graph
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def bytes_of(step: Callable[[], None]) -> int:
    """Bytes of all tensors that the step's operators read and write, each once an operator.

    A cache that holds a tensor from one operator to the next makes the true traffic smaller, an operator that reads its
    input twice makes it larger.
    """
    with _Moved() as moved:
        step()
    return moved.bytes


class _Moved(TorchDispatchMode):
    """Adds up the bytes of every operator's tensors. Views and the reading of sizes move none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _is_view(func):
            tensors = {id(leaf): leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)}
            self.bytes += sum(map(_bytes, tensors.values()))
        return result


def _is_view(operator: Any) -> bool:
    """Whether a result shares the memory of an argument that is not written to."""
    results = (result.alias_info for result in operator._schema.returns)
    return any(alias is not None and not alias.is_write for alias in results)


def _bytes(tensor: Tensor) -> int:
    """What lies in memory: an expanded tensor is read once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def bound_by(busy: float, flop_share: float, byte_share: float) -> str:
    """What a step waits for most, by the share of its time in which the GPU is busy and its shares of the ceilings."""
    if busy < BUSY:
        return "launches"
    return "arithmetic" if flop_share > byte_share else "memory"
