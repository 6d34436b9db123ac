"""The same networks, faster: how they lie in memory, and what can be left out of their arithmetic.

Names and shapes of parameters stay as they were, so that weights fit either way.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from types import MethodType

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental import optimization


def for_training(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` itself on ``device``, channels last, without what costs time and changes no value."""
    for module in model.modules():
        if isinstance(module, nn.Hardtanh):  # ReLU6, too
            module.inplace = False  # in place, autograd copies its input first, which costs more than it saves
        if type(module) is nn.Conv2d and _is_strided_depthwise(module):
            module.forward = MethodType(_wide_on_cpu, module)  # type: ignore[method-assign]
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def for_inference(model: nn.Module, device: torch.device) -> nn.Module:
    """A frozen copy of ``model`` on ``device``, channels last, its batch norms folded into the convolutions before.

    Its outputs are those of ``model`` in evaluation mode but for rounding. What cannot be traced is left unfolded, and
    so is a network that uses a layer twice.
    """
    model.eval().requires_grad_(False)
    try:
        traced = fx.symbolic_trace(model)
    except Exception:  # somebody else's network may do in its forward what no trace can follow
        traced = None
    if traced is None or _uses_a_layer_twice(traced):
        model = copy.deepcopy(model)
    else:
        model = optimization.fuse(traced, no_trace=True)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


Network = Callable[[Tensor], Tensor]
"""Images [B, C, H, W] to logits [B, n]."""


def through(model: nn.Module, *, compiled: bool) -> Network:
    """What batches pass through: ``model`` itself, or it compiled."""
    return Compiled(model) if compiled else model


class Compiled:
    """A network compiled for the shape of the first images that it is given; ``model`` itself stays as it is.

    Images of another shape, such as those of an epoch's last, smaller batch, take the plain way: to compile once more
    for them would cost more than it ever gave back. Nothing is compiled before the first call.
    """

    def __init__(self, model: nn.Module) -> None:
        self._plain: Network = model
        self._quick: Network = torch.compile(
            model,
            dynamic=False,
            options={
                "fallback_random": True,  # dropout drops what it drops in the plain network
                "compile_threads": torch.get_num_threads(),  # the trial's own, not all that the machine has
            },
        )
        self._shape: torch.Size | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Logits [B, n] of images [B, C, H, W]."""
        self._shape = self._shape or images.shape
        return self._quick(images) if images.shape == self._shape else self._plain(images)


def _uses_a_layer_twice(traced: fx.GraphModule) -> bool:
    """Whether a layer with weights is called twice, or its weights are read elsewhere, too.

    Folded, such a layer would have the batch norm behind one of its calls in all of them.
    """
    called = Counter(str(node.target) for node in traced.graph.nodes if node.op == "call_module")
    read = Counter(str(node.target).rpartition(".")[0] for node in traced.graph.nodes if node.op == "get_attr")
    shared = [layer for layer, calls in called.items() if calls + read[layer] > 1]
    return any([*traced.get_submodule(layer).parameters()] for layer in shared)


def _wide_on_cpu(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """``layer`` in float32 under a CPU's autocast: oneDNN has no fast bfloat16 backward pass for such a convolution.

    On an AVX-512 CPU the three of a MobileNetV2 at 32×32 took 0.65 s of a training step of 1.4 s, 0.05 s like this.
    """
    if images.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return nn.Conv2d.forward(layer, images)
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(layer, images.float())


def _is_strided_depthwise(layer: nn.Conv2d) -> bool:
    return layer.groups == layer.in_channels > 1 and max(layer.stride) > 1


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The networks' precision; losses widen their logits themselves."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
