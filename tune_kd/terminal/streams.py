"""stdout and stderr that may be of any encoding, closed, full, or a pipe that nobody reads any more."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from typing import IO, Any

READABLE = {
    **dict.fromkeys("—–−", "-"),
    **{"×": "x", "·": "-", "±": "+-", "→": "->", "…": "...", "≤": "<=", "≥": ">=", "∞": "inf", "µ": "u", "←": "<-"},
    **{"τ": "tau", "α": "alpha", "Δ": "delta", "δ": "delta", "κ": "kappa", "σ": "sigma", "↑": "up", "↓": "down"},
    **dict.fromkeys("─━╸╺", "-"),
    **dict.fromkeys("│┃", "|"),
}
"""By character, what is written where an encoding does not have it."""

ERRORS = "tune-kd.readable"


class OutputError(RuntimeError):
    """What a command says could not be written to stdout. Its text is one line; ``broken_pipe``: nobody reads it."""

    def __init__(self, reason: str, *, broken_pipe: bool = False) -> None:
        super().__init__(f"cannot write to stdout: {reason}")
        self.reason, self.broken_pipe = reason, broken_pipe


def readable(stream: Any) -> None:
    """Let ``stream`` write what its encoding does not have as something like it. Other streams than files are left."""
    if hasattr(stream, "reconfigure"):
        codecs.register_error(ERRORS, _substitute)
        stream.reconfigure(errors=ERRORS)


def spelled(text: str, encoding: str) -> str:
    """``text`` as a stream of this encoding shows it: its width is known before it is laid out."""
    codecs.register_error(ERRORS, _substitute)
    return text.encode(encoding, ERRORS).decode(encoding)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_substitute_for, error.object[error.start : error.end])), error.end


def _substitute_for(character: str) -> str:
    if "\ud800" <= character <= "\udfff":  # a byte of a file's name that is no text
        return f"\\x{ord(character) & 0xFF:02x}"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return READABLE.get(character) or plain or "?"


def guard() -> None:
    """Make this process's stdout and stderr safe: see :class:`Stdout` and :class:`Stderr`. For a command, once.

    Where one of them is closed, its descriptor is given to the null device: the next file to be opened would get it,
    and with it everything that is printed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest that is free, which is this one
    readable(sys.stdout)
    readable(sys.stderr)
    sys.stdout = Stdout(sys.stdout)
    sys.stderr = Stderr(sys.stderr)


class _Wrapped:
    def __init__(self, stream: IO[str] | None) -> None:
        self._stream: Any = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Stdout(_Wrapped):
    """Raises OutputError where the stream is closed or cannot be written."""

    def write(self, text: str) -> int:
        try:
            return int(self._open().write(text))
        except (OSError, ValueError) as error:
            raise _as_output_error(error) from None

    def flush(self) -> None:
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError) as error:
            raise _as_output_error(error) from None

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def _open(self) -> Any:
        if self._stream is None:
            raise OutputError("it is closed")
        return self._stream

    def give_up(self) -> None:
        """Drop what is not written yet: Python would try again, and complain, when it ends."""
        if self._stream is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


class Stderr(_Wrapped):
    """Drops what cannot be written: what is shown of a training must not end it."""

    def write(self, text: str) -> int:
        try:
            return int(self._stream.write(text))
        except (AttributeError, OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (AttributeError, OSError, ValueError):
            return

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()


def _as_output_error(error: OSError | ValueError) -> OutputError:
    reason = getattr(error, "strerror", None) or str(error)
    return OutputError(reason, broken_pipe=isinstance(error, BrokenPipeError))
