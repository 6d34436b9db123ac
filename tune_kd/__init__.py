"""What choosing hyperparameters costs: policies for the temperature of knowledge distillation, compared.

>>> import tune_kd
>>> study = tune_kd.compare(policies=["grid", "stochastic"], scenario="digits")  # doctest: +SKIP
>>> tune_kd.open_store("runs").trials()  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_kd import own_packages
from tune_kd.storage import home

__version__ = "0.1.0"

own_packages.claim()
home.settle()

if TYPE_CHECKING:
    from tune_kd.api import compare, extend, resume, run, study
    from tune_kd.store import open_store

# Imported when first used: torch and Ray take seconds, `tune-kd --help` must not.
_LAZY = {
    "run": "tune_kd.api",
    "compare": "tune_kd.api",
    "extend": "tune_kd.api",
    "resume": "tune_kd.api",
    "study": "tune_kd.api",
    "open_store": "tune_kd.store",
}

__all__ = ["__version__", "compare", "extend", "open_store", "resume", "run", "study"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tune_kd' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
