"""Can ``--compile`` work here? torch.compile writes code of its own, and needs on this machine what makes it run."""

from __future__ import annotations

import importlib.util
import sysconfig
from pathlib import Path

import torch

from tune_kd.errors import InputError


def compiler() -> str:
    """The C++ compiler that torch.compile finds. Raises InputError where it or something else is missing."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # a second of imports, only for who compiles
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        found: str = get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise InputError(
            "--compile needs a C++ compiler, and torch finds none; install one, as with apt install g++, or name it in "
            "the environment variable CXX"
        ) from error
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        raise InputError(
            f"--compile needs Python's headers, and {headers} has no Python.h; install them, as with apt install "
            "python3-dev"
        )
    if torch.cuda.is_available() and importlib.util.find_spec("triton") is None:
        raise InputError("--compile needs Triton for a GPU; install it, as with pip install triton")
    return found
