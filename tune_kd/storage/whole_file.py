"""Files that appear whole: a reader finds the old content or the new, never a part."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` at the end; after an exception nothing has changed.

    The folder is made if there is none. The content is not forced to disk. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the process's id: containers that share a folder have the same ones.
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with staged.open("xb") as file:
            yield file
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
