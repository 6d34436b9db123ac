"""Quantization of a student to int8, by torchao's PT2E: preparation, ranges, conversion.

The scheme is torchao's for x86: weights int8 with a scale a channel, activations uint8 with one scale and zero point.
Before training, batch norms are folded into the convolutions before them: what is trained is what is converted.
torchao is an extra. Nothing here imports it before it is needed, for that takes seconds.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import MethodType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from tune_kd.errors import InputError
from tune_kd.models import fast

NEEDED = ("torchao", "onnxruntime", "onnxscript")
"""The packages of the extra ``quantization``."""

VNNI = ("avx512_vnni", "avx_vnni", "amx_int8")
"""What x86 CPUs have that add products of int8 and uint8 without saturation."""


def check_installed() -> None:
    """Raises InputError where a package is missing that a quantized student needs."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"quantization needs {', '.join(missing)}, which is not installed; install it with: "
            f"pip install 'tune-kd[quantization]'"
        )


def saturates() -> bool:
    """Do sums of int8 products overflow on this CPU, so that activations need 7 bits? They do on x86 without VNNI."""
    has = torch.cpu.get_capabilities()
    return has["architecture"] == "x86_64" and not any(has.get(name) for name in VNNI)


def prepare(network: nn.Module, images: Tensor, *, reduce_range: bool) -> fx.GraphModule:
    """``network`` as a graph with fake quantization, to be trained: a copy, on the device of ``images``.

    ``images`` are two or more of any content, [B, C, H, W]; the graph takes any number. Activations have 7 bits
    where ``reduce_range``, else 8. Raises InputError for a network that torch or torchao cannot follow.
    """
    with _silent("torch.utils._pytree"):  # torchao 0.18 makes torch note how it registers an enum
        from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
        from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    config = x86.get_default_x86_inductor_quantization_config(is_qat=True, reduce_range=reduce_range)
    try:
        graph = exported(_without_batch_norms(network, images.device).train().requires_grad_(True), images).module()
        prepared: fx.GraphModule = prepare_qat_pt2e(graph, x86.X86InductorQuantizer().set_global(config))
    except Exception as error:  # somebody else's network may do what no export can follow
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"the student cannot be quantized, as its network cannot be exported: {reason}") from error
    _allow_modes(prepared)
    return prepared


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Have the logger of this name write errors only."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def exported(network: nn.Module, images: Tensor) -> torch.export.ExportedProgram:
    """``network`` as a program that takes any number of images like ``images``."""
    return torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


@cache
def warm_up() -> None:
    """Prepare a toy once in this process, before a meter starts: the first time takes seconds, and loads torchao."""
    prepared = prepare(nn.Conv2d(1, 1, 1), torch.zeros(2, 1, 1, 1), reduce_range=False)
    prepared(torch.ones(2, 1, 1, 1)).sum().backward()


def observe(prepared: nn.Module, *, on: bool) -> None:
    """Do images that pass through the graph move the ranges of its activations?

    They do after ``eval()``, too. So before an evaluation this must be switched off.
    """
    from torchao.quantization.pt2e import disable_observer, enable_observer

    prepared.apply(enable_observer if on else disable_observer)


class Forward:
    """A prepared graph's outputs, those of a student that has diverged included.

    Numbers that are not finite have no ranges, and torchao raises an error. From then on they pass as they are.
    """

    def __init__(self, prepared: fx.GraphModule) -> None:
        self._prepared = prepared

    def __call__(self, images: Tensor) -> Any:
        """As the graph. Waits for the device only where it has raised an error."""
        try:
            return self._prepared(images)
        except RuntimeError:
            observe(self._prepared, on=False)
            from torchao.quantization.pt2e import disable_fake_quant

            self._prepared.apply(disable_fake_quant)
            passed = self._prepared(images)
            if all(bool(tensor.isfinite().all()) for tensor in tree_leaves(passed)):
                raise  # it was for another reason
            return passed


def has_ranges(prepared: fx.GraphModule) -> bool:
    """Are all ranges finite numbers? They are not in a student that has diverged while they were observed."""
    ranges = (tensor for name, tensor in prepared.named_buffers() if name.endswith(("min_val", "max_val")))
    return all(bool(tensor.isfinite().all()) for tensor in ranges)


def convert(prepared: fx.GraphModule) -> fx.GraphModule:
    """The int8 network of a trained graph, which is used up, without the float32 weights that it had.

    Its arithmetic is in float32 between a quantization and a dequantization: it gives what int8 gives, but slowly.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    prepared.eval()
    observe(prepared, on=False)
    int8: fx.GraphModule = convert_pt2e(prepared)
    _plain_modes(int8)
    int8.eval()
    read = {node.target for node in int8.graph.nodes if node.op == "get_attr"}
    int8.delete_all_unused_submodules()
    for name in [*dict(int8.named_parameters()), *dict(int8.named_buffers())]:
        if name not in read:
            owner, _, own = name.rpartition(".")
            delattr(int8.get_submodule(owner), own)
    for tensor in (*int8.parameters(), *int8.buffers()):
        tensor.data = tensor.data.contiguous()  # channels last, torch.export.save would not take it for whole
    return int8


def weight_bytes(network: nn.Module) -> int:
    """Bytes of the tensors that a network reads to predict: weights, statistics, scales and zero points."""
    tensors = (*network.named_parameters(), *network.named_buffers())
    return sum(tensor.nbytes for name, tensor in tensors if not name.endswith("num_batches_tracked"))


class Affine(nn.Module):
    """A batch norm with fixed statistics, that no convolution before it could take in: x·scale + shift, by channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        nothing = torch.zeros(1, norm.num_features, 1, 1, device=next(norm.buffers()).device)
        with torch.no_grad():
            at_0, at_1 = norm.eval()(nothing), norm(nothing + 1)
        self.scale, self.shift = nn.Parameter((at_1 - at_0)[0]), nn.Parameter(at_0[0])

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift


def _allow_modes(graph: fx.GraphModule) -> None:
    """Let ``train()`` and ``eval()`` do what they do to the network, which torchao leaves to its own function.

    That looks for what has two modes, which takes a second each time: only where there is something to be found.
    """
    from torchao.quantization.pt2e import allow_exported_model_train_eval

    if any("dropout" in str(node.target) or "batch_norm" in str(node.target) for node in graph.graph.nodes):
        allow_exported_model_train_eval(graph)
    else:
        _plain_modes(graph)


def _plain_modes(graph: fx.GraphModule) -> None:
    """Let ``train()`` and ``eval()`` set the flag of a graph that computes the same in both modes."""
    graph.train = MethodType(nn.Module.train, graph)  # type: ignore[method-assign]
    graph.eval = MethodType(nn.Module.eval, graph)  # type: ignore[method-assign]


def _without_batch_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """A copy of ``network`` with the same outputs in evaluation, whose batch norms are folded or fixed.

    torchao would fold them itself, after it had exported 96 patterns to look for, which takes 13 s of a core.
    """
    folded = fast.for_inference(network, device)
    for name, norm in [*folded.named_modules()]:
        if isinstance(norm, nn.BatchNorm2d):
            folded.set_submodule(name, Affine(norm))
    if isinstance(folded, fx.GraphModule):
        _call_each_layer_once(folded)
    return folded


def _call_each_layer_once(graph: fx.GraphModule) -> None:
    """Give each call of a layer without weights its own copy: torchao takes all calls of a layer for one operation.

    What the trace has noted of the layers is of the network as it was, and dropped.
    """
    calls: Counter[str] = Counter()
    for node in graph.graph.nodes:
        node.meta = {}
        if node.op != "call_module" or [*graph.get_submodule(node.target).parameters()]:
            continue
        calls[node.target] += 1
        if (count := calls[node.target]) > 1:
            name = f"{node.target}_call{count}"
            graph.add_submodule(name, copy.deepcopy(graph.get_submodule(node.target)))
            node.target = name
    graph.recompile()
