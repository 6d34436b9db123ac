"""Grad-CAM: where a network looks (Selvaraju et al. 2017, arXiv 1610.02391).

The map of a class is relu(Σₖ αₖ·Aₖ). A [K, h, w] is what a layer gives for an image, αₖ the mean over height and width
of the gradient of the class's logit by Aₖ. Maps are not scaled.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tune_kd.errors import InputError, nearest


class Explained(NamedTuple):
    """What a network says of k images, and where it looks for one class of each."""

    logits: Tensor  # float32 [k, n]
    maps: Tensor | None  # float32 [k, h, w], ≥ 0; None for a network without a spatial layer
    layer: str | None  # whose output the maps are of


def explain(network: nn.Module, images: Tensor, classes: Tensor, layer: str | None = None) -> Explained:
    """Logits of normalised ``images`` [k, C, H, W], and the Grad-CAM maps of ``classes``, int64 [k].

    ``layer`` names a module of the network; by default it is :func:`last_spatial_layer`. The network is asked in
    evaluation mode and in float32; its parameters, modes and buffers stay as they were. Raises InputError for a layer
    that there is not, or whose output has no height and width.
    """
    with _evaluated(network), torch.inference_mode(False), torch.enable_grad():
        inputs = images.detach().clone().requires_grad_()  # the parameters of a frozen network give no gradient
        found = last_spatial_layer(network, inputs) if layer is None else layer
        if found is None:
            return Explained(network(inputs).detach().float(), None, None)
        kept: list[Tensor] = []
        with _watched(_module(network, found), kept):
            logits = network(inputs)
        _check_spatial(found, kept)
        # The images of a batch do not mix in evaluation mode: one sum has the gradient of each.
        chosen = logits.gather(1, classes.clone()[:, None]).sum()
        [gradient] = torch.autograd.grad(chosen, kept[-1])
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        maps = (weights * kept[-1]).sum(dim=1).relu()
    return Explained(logits.detach().float(), maps.detach().float(), found)


def last_spatial_layer(network: nn.Module, images: Tensor) -> str | None:
    """The name of the last module that gives [k, K, h, w] with h·w > 1; of those with the same output the outermost."""
    names: list[str] = []
    hooks = [
        module.register_forward_hook(lambda _m, _i, output, name=name: names.append(name) if _spatial(output) else None)
        for name, module in network.named_modules()
        if name
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return names[-1] if names else None


def _spatial(output: object) -> bool:
    return isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1


def _module(network: nn.Module, layer: str) -> nn.Module:
    modules = dict(network.named_modules())
    if not layer or layer not in modules:
        known = [name for name in modules if name]
        raise InputError(f"the network has no layer {layer!r}; {nearest(layer, known)}")
    return modules[layer]


def _check_spatial(layer: str, kept: list[Tensor]) -> None:
    if not kept or not _spatial(kept[-1]):
        given = "nothing" if not kept else f"{list(kept[-1].shape)}"
        raise InputError(f"layer {layer!r} gives {given}, which has no map; name one that gives [images, K, h, w]")


@contextmanager
def _watched(module: nn.Module, kept: list[Tensor]) -> Iterator[None]:
    """Keep what ``module`` gives; what follows gets a copy, for an activation in place would change it."""

    def keep(_module: nn.Module, _inputs: object, output: object) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        kept.append(output)
        return output.clone()

    hook = module.register_forward_hook(keep)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode; each of its modules has its own mode again afterwards."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
