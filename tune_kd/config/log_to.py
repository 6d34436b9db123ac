"""Pages of others that a study is logged to, by the client library of each: ``tensorboard:DIR``, ``mlflow:URI``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tune_kd.errors import InputError, unknown

CLIENTS = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}
"""The package of each, which the extra ``tune-kd[…]`` of the same name brings."""


@dataclass(frozen=True, kw_only=True)
class LogTo:
    """One place to log to."""

    kind: str
    where: str  # a folder, or a tracking URI

    @classmethod
    def parsed(cls, text: str) -> LogTo:
        """The place that ``text`` names. Raises InputError."""
        kind, colon, where = text.partition(":")
        if kind not in CLIENTS:
            raise unknown("place to log to", kind, CLIENTS)
        if not colon or not where:
            form = "DIR" if kind == "tensorboard" else "URI"
            raise InputError(f"--log-to {kind} needs a place, as in --log-to {kind}:{form}, got {text!r}")
        return cls(kind=kind, where=where)

    def check(self) -> None:
        """Raises InputError where it cannot be logged to from here. The client library is looked for, not loaded."""
        package = CLIENTS[self.kind]
        if find_spec(package) is None:
            raise InputError(f"--log-to {self} needs the package {package}: pip install 'tune-kd[{self.kind}]'")
        if self.kind == "tensorboard" and Path(self.where).exists() and not Path(self.where).is_dir():
            raise InputError(f"--log-to {self}: {self.where} is a file; give a folder")

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"
