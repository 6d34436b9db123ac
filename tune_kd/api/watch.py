"""A store while it is written, on a page that this process serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_kd.errors import InputError

if TYPE_CHECKING:
    from tune_kd.api.watching.server import PageServer

PORT = 8484
EVERY_S = 5.0
LARGEST_PORT = 65535


def watch(
    store: str | Path = "./runs", *, port: int = PORT, host: str = "127.0.0.1", every: float = EVERY_S
) -> PageServer:
    """Serve the page of a store in the background: the ``url`` of what is given has it, its ``stop()`` ends it.

    ``port`` 0 is any that is free. Beyond this machine, at another ``host``, the page needs the token in the address.
    The store is looked at every so many seconds, or less often. It must be there. Raises InputError.
    """
    check(port, every)
    from tune_kd.api.watching.seen import Page
    from tune_kd.api.watching.server import PageServer
    from tune_kd.store import open_store

    server = PageServer(Page(open_store(store), every), host, port)
    server.start()
    return server


def check(port: int, every: float) -> None:
    """Raises InputError for a port or a time that cannot be."""
    if not 0 <= port <= LARGEST_PORT:
        raise InputError(f"--port must be from 0 to {LARGEST_PORT}, got {port}")
    if not every > 0:
        raise InputError(f"--every must be > 0, got {every:g}")
