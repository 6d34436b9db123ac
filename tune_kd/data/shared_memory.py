"""Tensors as arrays and back: an object store shows all processes of a node the same array, but copies a tensor."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Packed(NamedTuple):
    """A tensor of any type, also of one that NumPy does not have: ``content`` is uint8 [bytes]."""

    content: NDArray[np.uint8]
    dtype: torch.dtype
    shape: torch.Size


def pack(tensor: Tensor) -> Packed:
    """``tensor`` as an array."""
    values = tensor.detach().cpu().contiguous()
    return Packed(values.flatten().view(torch.uint8).numpy(), tensor.dtype, tensor.shape)


def unpack(packed: Packed) -> Tensor:
    """The tensor that was packed, in the memory of the array."""
    return from_shared(packed.content).view(packed.dtype).reshape(packed.shape)


def from_shared(array: NDArray[np.generic]) -> Tensor:
    """A tensor in the memory of ``array``, which others may share: it must not be written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
