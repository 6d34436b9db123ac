"""A few test images, the same for every network, by which people look at what networks do.

What a network says of them is kept with its test, and where it looks; the images themselves are kept once a run.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tune_kd.data import ImageData
from tune_kd.data.batches import channels_last, normalising
from tune_kd.models.grad_cam import Explained, explain

IMAGES = 4
"""Images whose logits and maps are kept: a row of ``trials`` has to stay small."""


def example_images(labels: NDArray[np.int64], count: int = IMAGES) -> NDArray[np.int64]:
    """Indices of ``count`` images, or of all where there are fewer: of each class the first, then of each the second.

    Nobody chooses them. ``labels`` [N] are those of the test set, in its order.
    """
    by_class = np.argsort(labels, kind="stable")
    _, starts, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    turn = np.empty(len(labels), dtype=np.int64)  # the place of an image among those of its class
    turn[by_class] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return np.lexsort((labels, turn))[:count]


def examples(data: ImageData, *, pictures: bool) -> dict[str, Any]:
    """The images: their indices in the test set, their labels, and the names of all classes.

    With ``pictures`` they are there themselves, each a PNG in base64.
    """
    chosen = example_images(data.test.labels)
    found: dict[str, Any] = {
        "images": chosen.tolist(),
        "labels": data.test.labels[chosen].tolist(),
        "classes": list(data.classes),
    }
    return {**found, "png": [_png(data.test.images[image]) for image in chosen]} if pictures else found


def explained(network: nn.Module, data: ImageData, device: torch.device) -> dict[str, Any]:
    """What a network says of the images, as columns of ``trials``. The maps are of the true classes."""
    chosen = example_images(data.test.labels)
    return columns(look_at(network, data, data.test.images[chosen], data.test.labels[chosen], device))


def look_at(
    network: nn.Module,
    data: ImageData,
    images: NDArray[np.uint8],
    classes: NDArray[np.int64],
    device: torch.device,
    layer: str | None = None,
) -> Explained:
    """What a network says of ``images`` [k, C, H, W], normalised as ``data`` are. Raises InputError for a ``layer``."""
    scale, shift = normalising(data.mean, data.std, device)
    pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device).float()
    wanted = torch.from_numpy(np.ascontiguousarray(classes)).to(device)
    return explain(network, channels_last(pixels * scale + shift), wanted, layer)


def columns(found: Explained) -> dict[str, Any]:
    """The columns of ``trials`` that keep it; what is not finite is kept as null."""
    known = {"example_logits": found.logits, "example_maps": found.maps}
    values = {
        name: None if tensor is None or not tensor.isfinite().all() else tensor.tolist()
        for name, tensor in known.items()
    }
    return {**values, "example_layer": found.layer}


def _png(image: NDArray[np.uint8]) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
