"""A step of training waits for the device nowhere: no policy reads from it, or copies to it, in its loss.

The device is torch's ``meta``, whose tensors have shapes and no values: reading one raises, as does mixing one with a
tensor of the host. A copy from the host would pass; it is refused below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from policy_sequences import EPOCHS, LABELS, STEPS, TAU, first_params, logits, training_step
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from policies.base import Temperature
from tune_kd.config.catalogue import make_policy

HOST = torch.device("cpu")
# Draws on the device in a step, and there are no generators for ``meta``.
DRAWS_ON_DEVICE = ("stochastic-per-sample",)


class Waits(AssertionError):
    """Of a step that makes the host and the device wait for one another."""


class OnOneDevice(TorchDispatchMode):
    """Refuses what has tensors of more than one device, and a constant of the host brought to the device.

    A host scalar beside tensors of the device is an argument of the kernel, and waits for nothing.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        taken = {tensor.device for tensor in tensors(args, kwargs) if tensor.dim() or tensor.device != HOST}
        made = {tensor.device for tensor in tensors(result)}
        if func is torch.ops.aten.lift_fresh.default and made != {HOST}:
            raise Waits(f"a constant is copied to {made.pop()}")
        if taken and len(taken | made) > 1:
            raise Waits(f"{func} has tensors on {', '.join(map(str, taken | made))}")
        return result


class OnHost(TorchDispatchMode):
    """Refuses what would wait for a device if these tensors of the host were on one."""

    READING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "lift_fresh")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        masked = name == "index" and any(tensor.dtype == torch.bool for tensor in tensors(args))
        if masked or name in self.READING:
            raise Waits(f"{func} reads values, or brings them from the host")
        return func(*args, **(kwargs or {}))


def tensors(*values: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def steps_on(device: torch.device, temperature: Temperature, epoch: int) -> Iterator[Callable[[], None]]:
    """The steps of an epoch, ready to be run: the loss and its gradient."""
    temperature.begin_epoch(epoch, EPOCHS, STEPS)
    for number in range(STEPS):
        student, teacher = (z.to(device) for z in logits(5, 4, seed=number))
        student.requires_grad_()
        step = training_step(number, student, teacher if temperature.needs_teacher else None)

        def run(step: Any = step) -> None:
            temperature.loss(step).loss.backward()

        yield run


def temperature_on(device: torch.device, label: str) -> Temperature:
    policy = make_policy(label)
    return policy.temperature(first_params(policy, TAU), seed=7).to(device)


@pytest.mark.parametrize("label", LABELS)
def test_no_step_waits_for_the_device(label: str) -> None:
    drawing = label.startswith(DRAWS_ON_DEVICE)
    device, mode = (HOST, OnHost) if drawing else (torch.device("meta"), OnOneDevice)
    temperature = temperature_on(device, label)
    for epoch in range(EPOCHS):
        for run in steps_on(device, temperature, epoch):
            with mode():
                run()


@pytest.mark.gpu
@pytest.mark.parametrize("label", LABELS)
def test_no_step_waits_for_a_real_gpu(label: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = torch.device("cuda")
    temperature = temperature_on(device, label)
    for epoch in range(EPOCHS):
        for run in steps_on(device, temperature, epoch):
            torch.cuda.set_sync_debug_mode("error")
            try:
                run()
            finally:
                torch.cuda.set_sync_debug_mode("default")


WAITING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda tensor: tensor[0].item(),
    "bool": lambda tensor: bool(tensor[0] > 0),
    "mask": lambda tensor: tensor[tensor > 0],
    "nonzero": lambda tensor: tensor.nonzero(),
    "comparison": lambda tensor: torch.equal(tensor, tensor + 1),
    "constant": lambda tensor: tensor + torch.tensor([1.0, 2.0, 3.0], device=tensor.device),
}
COPYING: dict[str, Callable[[Tensor], object]] = {
    "to the host": lambda tensor: tensor.cpu(),
    "from the host": lambda tensor: tensor + torch.zeros(3).to(tensor.device),
    "mixture": lambda tensor: tensor + torch.zeros(3),
    "list": lambda tensor: tensor.tolist(),
    "array": lambda tensor: tensor.numpy(),
}
REFUSED = (Waits, RuntimeError, NotImplementedError, TypeError)


@pytest.mark.parametrize("name", [*WAITING, *COPYING])
def test_what_waits_would_be_caught(name: str) -> None:
    tensor = torch.zeros(3, device="meta")
    with pytest.raises(REFUSED), OnOneDevice():
        (WAITING | COPYING)[name](tensor)


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_would_be_caught_on_the_host(name: str) -> None:
    tensor = torch.zeros(3)
    with pytest.raises(Waits), OnHost():
        WAITING[name](tensor)
