"""A user without a home folder, as containers have that run under any user id."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def settle() -> None:
    """Set HOME if the process has no home folder, as Docker does: Ray cannot even be imported without one."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def ray_token() -> dict[str, str]:
    """The variable with a secret for Ray, if Ray cannot keep one in the home folder; else nothing."""
    kept = Path.home() / ".ray" / "auth_token"
    near = next(place for place in (kept, *kept.parents) if os.access(place, os.F_OK))
    given = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    needed = not given and not os.access(near, os.R_OK if near == kept else os.W_OK | os.X_OK)
    return {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if needed else {}
