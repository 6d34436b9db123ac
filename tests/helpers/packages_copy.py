"""A copy of our packages, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

from tune_kd.own_packages import PACKAGES, ROOT


def copy_packages(folder: Path) -> Path:
    """Copy the packages into ``folder``; where they are."""
    for package in ("tune_kd", *PACKAGES):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
