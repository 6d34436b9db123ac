"""Which code runs here. It must be the same on every node of a cluster: else trials would not compare."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from importlib import metadata
from types import MappingProxyType
from typing import Any

from tune_kd import own_packages
from tune_kd.own_packages import ROOT

TRAINED_BY = ("policies", "search_spaces", "tune_kd")


@dataclass(frozen=True, kw_only=True)
class Code:
    """The versions that a trial's result depends on, beside its data and seed."""

    tune_kd: str
    sources: str  # SHA-256 of the packages that a trial uses
    python: str
    torch: str  # without the build: a CPU's and a GPU's may meet in one cluster

    def difference(self, there: Code) -> str:
        """How ``there`` differs, in words; empty if it does not."""
        pairs = zip(fields(self), astuple(self), astuple(there), strict=True)
        return ", ".join(f"{field.name} {b} instead of {a}" for field, a, b in pairs if a != b)


@functools.cache
def this_code() -> Code:
    """The code of this process, as it was when first asked."""
    return Code(
        tune_kd=metadata.version("tune-kd"),
        sources=_sources_sha256()[:12],
        python=platform.python_version(),
        torch=metadata.version("torch").partition("+")[0],
    )


def _sources_sha256() -> str:
    found = hashlib.sha256()
    for package in TRAINED_BY:
        files = [path for kind in ("py", "toml") for path in (ROOT / package).rglob(f"*.{kind}")]
        for path in sorted(files):
            found.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


@functools.cache
def code() -> Mapping[str, Any]:
    """Version of tune-kd; revision and changes where it runs from a git checkout, else null.

    As it was when first asked: that is the code which this process runs.
    """
    revision = _git("rev-parse", "HEAD")
    return MappingProxyType(
        {
            "code_version": metadata.version("tune-kd"),
            "code_revision": revision,
            "code_dirty": None if revision is None else bool(_git("status", "--porcelain", "--untracked-files=no")),
        }
    )


def _git(*words: str) -> str | None:
    # Only our own checkout counts: an installed package may lie inside somebody else's repository.
    if not (own_packages.ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", own_packages.ROOT, *words], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
