"""A teacher's weights from a file of the user's own, in place of a training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tune_kd.errors import InputError

# Under which training scripts keep the weights among other things, and the cache those of teachers that were trained.
WRAPPERS = ("state_dict", "model", "weights")
MOST_NAMES = 3  # of the keys that do not fit


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The state_dict in a file, plain or under one of :data:`WRAPPERS`, without DataParallel's ``module.``.

    Tensors and plain values only: no code is run. Raises InputError.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no teacher checkpoint {str(path)!r}; give a file that torch.save has written")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its unpickler, zip reader and tensors raise
        raise InputError(
            f"teacher checkpoint {path} is no file of weights that can be read without running code; "
            f"save it anew with torch.save(model.state_dict(), FILE)"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content or not all(isinstance(w, Tensor) for w in content.values()):
        given = f"keys {some(content)}" if isinstance(content, Mapping) else type(content).__name__
        raise InputError(f"teacher checkpoint {path} holds no state_dict, neither plain nor as 'model', got {given}")
    return _without_prefix(content)


def fitted(weights: Mapping[str, Tensor], net: nn.Module, where: str) -> dict[str, Tensor]:
    """``weights`` as ``net`` takes them. Raises InputError that names what does not fit; ``where`` begins it.

    The step counters of batch norm, which old files lack and no output depends on, stay the network's own.
    """
    wanted = net.state_dict()
    missing = [key for key in wanted if key not in weights and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in weights if key not in wanted]
    shapes = [
        f"{key} {tuple(weights[key].shape)}, not {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in weights and weights[key].shape != tensor.shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    if any(problems.values()):
        said = "; ".join(f"{what}: {some(keys)}" for what, keys in problems.items() if keys)
        raise InputError(f"{where}: {said}")
    return {key: weights.get(key, tensor) for key, tensor in wanted.items()}


def file_sha256(path: str | Path) -> str:
    """The hash of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def some(names: Any) -> str:
    """The first few of ``names``, and how many more there are."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - MOST_NAMES} more" if len(shown) > MOST_NAMES else ""
    return ", ".join(shown[:MOST_NAMES]) + more


def _without_prefix(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = "module." if all(key.startswith("module.") for key in weights) else ""
    return {key.removeprefix(prefix): tensor for key, tensor in weights.items()}
