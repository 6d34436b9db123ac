"""FLOPs of a model, exactly: every multiply-accumulate (MAC) of its convolutions and matrix products, twice.

torch's ``FlopCounterMode`` watches one image go forward and backward, so that it counts the operations that autograd
computes: no gradient for an input or a weight that needs none. Its formula for the backward of grouped
convolutions is wrong, though (6.9 times too much for MobileNetV2), and is replaced here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from tune_kd.errors import InputError

# Left out on purpose, as in the field's convention: operators of a few FLOPs an element. Elementwise ones and
# reductions are known by torch's tags, views by their schema; the others by these words of their names.
_SUMMARISES = {"norm", "softmax", "pool", "upsample", "dropout", "bernoulli", "mean", "cumsum"}
_MOVES = {"cat", "stack", "copy", "clone", "detach", "lift", "strided", "view", "contiguous", "repeat", "roll", "pad"}
_PICKS = {"shuffle", "unshuffle", "im2col", "index", "select", "gather", "scatter", "embedding", "sort", "topk"}
_MAKES = {"empty", "zero", "zeros", "ones", "full", "fill", "eye", "arange", "rand", "randn", "randperm", "scalar"}
_UNTAGGED = {"hardtanh"}  # in place: torch 2.11 does not say that it is elementwise
CHEAP_WORDS = frozenset(_SUMMARISES | _MOVES | _PICKS | _MAKES | _UNTAGGED)


@dataclass(frozen=True, kw_only=True)
class ModelFlops:
    """FLOPs per image, at 2 per MAC.

    ``backward`` is that of a training step: weight gradients, and input gradients if they are needed.
    ``uncounted`` names the operators with arithmetic of their own that are in neither number.
    """

    forward: int
    backward: int
    uncounted: tuple[str, ...]


def count(model: nn.Module, image_shape: tuple[int, int, int]) -> ModelFlops:
    """FLOPs of ``model`` for one image of ``image_shape`` (channels, height, width).

    Counted: convolutions of any rank, grouped, dilated or transposed; linear layers; matrix products outside of
    them, attention's included. Left out on purpose and not listed as uncounted: elementwise operators and
    activations, reductions, normalisation, pooling, softmax, resizing, embedding and data movement. All
    other operators (recurrent cells, FFTs, deformable convolutions, a user's own kernels) are named in
    ``uncounted``.

    A copy in evaluation mode does the work on the CPU: neither the model nor the random state changes. Raises
    InputError if the model cannot take such an image.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise InputError(f"an image's shape is (channels, height, width), each >= 1, got {tuple(image_shape)}")
    twin = copy.deepcopy(model).cpu().eval()
    image = torch.zeros(1, *image_shape, dtype=_dtype(twin))
    watched, counter = _Operators(), counting()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _plain_attention(), watched, counter:
        try:
            outputs = twin(image)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{type(model).__name__} cannot take an image of {tuple(image_shape)}: {reason}"
            ) from error
        forward, uncounted = counter.get_total_flops(), watched.names - _counted_names(counter)
        differentiable = [tensor for tensor in _tensors(outputs) if tensor.requires_grad]
        if differentiable:
            sum(tensor.sum() for tensor in differentiable).backward()  # type: ignore[union-attr]
    return ModelFlops(
        forward=forward,
        backward=counter.get_total_flops() - forward,
        uncounted=tuple(sorted(uncounted)),
    )


def differentiated_twice(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """FLOPs per image of differentiating a training step's weight gradients once more, by the gradient of the outputs.

    That is what a meta-gradient takes beyond two backward passes. 0 for a model that cannot be differentiated twice.
    """
    twin = copy.deepcopy(model).cpu().eval()
    weights = [weight for weight in twin.parameters() if weight.requires_grad]
    counter = counting()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _plain_attention():
        outputs = [
            each for each in _tensors(twin(torch.zeros(1, *image_shape, dtype=_dtype(twin)))) if each.requires_grad
        ]
        upstream = [torch.ones_like(each, requires_grad=True) for each in outputs]
        try:
            found = torch.autograd.grad(outputs, weights, upstream, create_graph=True, allow_unused=True)
            gradients = [each for each in found if each is not None and each.requires_grad]
            with counter:
                torch.autograd.grad(
                    gradients, upstream, [torch.ones_like(each) for each in gradients], allow_unused=True
                )
        except RuntimeError:
            return 0
    return int(counter.get_total_flops())


def counting() -> FlopCounterMode:
    """A context that counts the FLOPs of all that is computed in it, as :func:`count` does, on whatever device.

    Its ``get_total_flops()`` gives them.
    """
    return FlopCounterMode(display=False, custom_mapping=_BACKWARD)


def convolution_flops(
    x_shape: Sequence[int], w_shape: Sequence[int], out_shape: Sequence[int], transposed: bool
) -> int:
    """2·MACs of a convolution: each weight once for every position of the output (transposed: of the input).

    Shapes [N, C, *spatial] and [out, in / groups, *kernel]. Padding counts as if it were multiplied.
    """
    positions = x_shape[2:] if transposed else out_shape[2:]
    return 2 * x_shape[0] * prod(positions) * prod(w_shape)


def _convolution_backward_flops(
    grad_shape: Sequence[int],
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
    output_mask: Sequence[bool],
    **outputs: object,
) -> int:
    """Both gradients pair the same elements as the forward, so that each costs as much as it; groups included."""
    wanted = int(output_mask[0]) + int(output_mask[1])
    return wanted * convolution_flops(x_shape, w_shape, grad_shape, transposed)


_BACKWARD: dict[Any, Any] = {torch.ops.aten.convolution_backward: _convolution_backward_flops}


class _Operators(TorchDispatchMode):
    """Names the operators with arithmetic of their own. It lies under the counter, which decomposes first."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not _is_cheap(func):
            self.names.add(_name(func))
        return func(*args, **(kwargs or {}))


def _is_cheap(func: Any) -> bool:
    tags = {tag.name for tag in getattr(func, "tags", ())}
    return (
        not tags.isdisjoint({"pointwise", "reduction"})
        or getattr(func, "is_view", False)
        or (_name(func).startswith("aten::") and not CHEAP_WORDS.isdisjoint(_words(func)))
    )


def _words(func: Any) -> set[str]:
    """``{"max", "pool", "with", "indices"}`` of ``aten::max_pool2d_with_indices``."""
    return set(re.split(r"[:_]+|\d+d_?", _name(func)))


def _name(func: Any) -> str:
    """``aten::convolution``, without the overload."""
    schema = getattr(func, "_schema", None)
    return str(func) if schema is None else str(schema.name)


def _counted_names(counter: FlopCounterMode) -> set[str]:
    return {str(packet).replace(".", "::") for packet in counter.flop_registry}


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as matrix products, which are counted, and without the recomputation of one fused kernel or another."""
    fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fastpath)


def _dtype(model: nn.Module) -> torch.dtype:
    """The model's floating type: it would refuse an image of another one."""
    floating = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(floating, torch.float32)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    leaves, _ = torch.utils._pytree.tree_flatten(outputs)
    return (leaf for leaf in leaves if isinstance(leaf, Tensor))
