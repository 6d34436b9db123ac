"""Policy files as a user writes them: one that works, and what can be wrong with one."""

from __future__ import annotations

from pathlib import Path

HEAD = """
from dataclasses import dataclass

import torch
from policies import Policy
from policies.base import Constant, Softening, Temperature, hinton
"""
CLASS = """
@dataclass(frozen=True, kw_only=True)
class Mine(Policy):
    low: float = 2.0
    steps: int = 3
    loud: bool = False
    shape: str = "flat"

    def __post_init__(self):
        if self.low <= 0:
            raise ValueError(f"low must be > 0, got {self.low}")

    def temperature(self, params, seed):
        return Constant(self.low)
"""
WORKS = HEAD + CLASS


def write(folder: Path, text: str = WORKS, name: str = "mine.py") -> str:
    """The file; its path as text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
