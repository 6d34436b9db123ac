"""The address of a running Ray, tried before it is joined: Ray itself takes minutes to give one up."""

from __future__ import annotations

import socket

from tune_kd.errors import InputError

ANSWER_S = 10.0


def check_address(address: str) -> None:
    """Raises InputError unless somebody listens at the ``HOST:PORT``; what ``auto`` is, Ray knows at once."""
    if address == "auto":
        return
    if address.startswith("ray://"):
        raise InputError(
            f"the address {address!r} is a Ray client's: the run would write its store on the head node; "
            f"use `ray job submit --address http://HEAD:8265 -- tune-kd run …` instead"
        )
    host, _, port = address.rpartition(":")
    if "/" in host or not (host and port.isdecimal() and int(port) < 2**16):
        raise InputError(f"--address must be auto or a running Ray's HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except OSError as error:
        raise InputError(f"no Ray cluster answers at {address!r}: {error.strerror or error}") from error
