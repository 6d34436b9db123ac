"""A trial's checkpoint: one file, replaced whole after every epoch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from tune_kd.storage.whole_file import whole_file

if TYPE_CHECKING:
    from tune_kd.storage.cache import Kept


class Slot(Protocol):
    """The place of one checkpoint that is not a file of this machine."""

    def write(self, content: bytes) -> None:
        """Replace the content, whole or not at all."""

    def read(self) -> bytes | None:
        """The content; None if there is none."""


def save(place: Path | Slot, state: dict[str, Any]) -> None:
    """Replace ``place`` with ``state``: a reader sees the old checkpoint or the new one, never a part."""
    content = io.BytesIO()
    torch.save(state, content)
    if isinstance(place, Path):
        write(place, content.getbuffer())
    else:
        place.write(content.getvalue())


def load(place: Path | Slot, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The state at ``place``; None if there is none. Tensors and plain values only: no code is run."""
    content = place.read() if not isinstance(place, Path) else place.read_bytes() if place.is_file() else None
    if content is None:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return state


def write(path: Path, content: bytes | memoryview) -> None:
    """Replace a file whole, and make its folder where there is none."""
    with whole_file(path) as file:
        file.write(content)


def checkpoints_folder(run_id: str) -> str:
    """The name of the folder of a run's checkpoints in the cache."""
    return f"checkpoints/{run_id}"


def checkpoint_name(run_id: str, trial_id: str) -> str:
    """The name of a trial's checkpoint in the cache."""
    return f"{checkpoints_folder(run_id)}/{trial_id}.pt"


def remove_others(kept: Kept, run_id: str, keep: str | None) -> None:
    """Remove a run's checkpoints, all but that of the trial ``keep``."""
    folder = checkpoints_folder(run_id)
    for name in kept.names(folder):
        if name.endswith(".pt") and name != f"{keep}.pt":
            kept.remove(f"{folder}/{name}")
