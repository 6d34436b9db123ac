"""URLs of stores and caches. Credentials are no part of a URL and appear in no message."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tune_kd.errors import InputError

_SECRET = re.compile(r"key|secret|token|passw|credential|sig", re.IGNORECASE)


def is_url(where: str | Path) -> bool:
    """Whether ``where`` is a URL and not a path of this machine."""
    return isinstance(where, str) and "://" in where and not where.startswith("file://")


def refuse_credentials(url: str, kind: str) -> None:
    """Raises InputError for a URL that holds credentials; ``kind`` is its name in the message: a store or a cache."""
    parts = urlsplit(url)
    if parts.username or parts.password or any(_SECRET.search(name) for name in parse_qs(parts.query)):
        raise InputError(
            f"the URL of a {kind} must not hold credentials, got {parts.scheme}://…{parts.path}; "
            "give them in the environment"
        )


def scrubbed(text: str) -> str:
    """``text`` in one line, without any value of an environment variable that may be a credential."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, f"${name}")
    return " ".join(text.split())
