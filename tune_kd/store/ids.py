"""The names of studies, of their parts and of their runs."""

from __future__ import annotations

import re
from datetime import datetime


def new_study_id(now: datetime) -> str:
    """An id that sorts by time, to the microsecond, in hexadecimal after the second."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond:05x}"


def base_id(study_id: str) -> str:
    """The ids' common part of a study's parts: ``20260301-120000-1a2b0`` of ``20260301-120000-1a2b0-cifar10-hkd``."""
    return "-".join(study_id.split("-")[:3])


def run_id(study_id: str, label: str, replicate: int) -> str:
    """The name of a run: its study, its policy with all options, its replicate."""
    return f"{study_id}-{slug(label)}-r{replicate}"


def slug(label: str) -> str:
    """A label as a part of an id: lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
