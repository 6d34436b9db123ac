"""Errors that are no bug of ours: what went wrong around a command, or in a user's own code, in one line."""

from __future__ import annotations

import errno
import sysconfig
import traceback
from pathlib import Path
from typing import TypeGuard

from tune_kd.own_packages import ROOT

OURS = tuple(f"{ROOT / name}/" for name in ("tune_kd", "policies", "search_spaces", "analysis"))
# The rest, as of a file that is not there, may well be a mistake of ours.
REFUSED = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.ENOMEM, errno.EMFILE),
    *(errno.ENFILE, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.ECONNRESET),
)
LIBRARIES = (*(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")), "<frozen")


def said_of(error: BaseException) -> str | None:
    """What is wrong around us; None for everything else."""
    if isinstance(error, RuntimeError) and _is_rays(error.__cause__):
        error = error.__cause__  # Tune wraps what it has not expected, such as a worker that Ray has killed
    kind = f"{type(error).__module__}.{type(error).__name__}"
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    if isinstance(error, MemoryError) or kind.endswith("OutOfMemoryError"):
        less = "fewer trials at a time (--max-concurrent) or smaller batches (--batch-size) need less"
        return f"out of memory: {first}; {less}, and tune-kd resume goes on with what is recorded"
    if isinstance(error, OSError) and error.errno in REFUSED:
        place = f": {error.filename}" if error.filename else ""
        return f"the system refused: {error.strerror or first}{place}"
    if kind.startswith("ray."):
        return f"Ray failed: {first}; every finished trial is in the store, and tune-kd resume goes on"
    if kind in ("pyarrow.lib.ArrowInvalid", "_duckdb.IOException", "duckdb.IOException"):
        return f"a file cannot be read: {first}; see tune-kd store verify"
    return None


def _is_rays(error: BaseException | None) -> TypeGuard[BaseException]:
    return error is not None and type(error).__module__.partition(".")[0] == "ray"


def users_line(error: BaseException) -> traceback.FrameSummary | None:
    """Where a user's own code raised: the innermost line that is no library's, None where it is one of ours."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = frame.filename if frame.filename.startswith("<") else str(Path(frame.filename).resolve())
        if path.startswith(OURS):
            return None
        if not path.startswith(LIBRARIES):
            return frame
    return None
