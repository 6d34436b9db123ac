"""Images loaded as most tests want them: a fifth to validate on, in the size that they have."""

from __future__ import annotations

from typing import Any

from tune_kd.data import ImageData
from tune_kd.data import load as load_data


def load(source: str, **how: Any) -> ImageData:
    usual: dict[str, Any] = {"image_size": None, "validation_fraction": 0.2, "split_seed": 0}
    return load_data(source, **{**usual, **how})
