"""The process that drives a run, as the file of its lease names it."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A process that drives a run, or drove it when it died."""

    process: int
    host: str

    @classmethod
    def here(cls) -> Driver:
        """This process."""
        return cls(process=os.getpid(), host=socket.gethostname())

    @classmethod
    def named_in(cls, lease: Path) -> Driver | None:
        """Whom the file of a lease names; None where there is none, as of a run that has ended."""
        try:
            found = re.fullmatch(r"process (\d+) on (\S+)\s*", lease.read_text())
        except (OSError, UnicodeDecodeError):
            return None
        return cls(process=int(found[1]), host=found[2]) if found else None

    @property
    def gone(self) -> bool:
        """Is it known to have died? Of a process on another machine nothing is known."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)  # the signal 0 is never sent: it asks whether there is such a process
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's
            return False
        return False

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"
