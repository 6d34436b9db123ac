"""What choosing hyperparameters costs: policies for the temperature of knowledge distillation, compared.

>>> import tune_kd
>>> outcome = tune_kd.compare(policies=["grid", "stochastic"], scenario="digits")  # doctest: +SKIP
>>> outcome.ranking()  # doctest: +SKIP

Every command is a function here, of the same name and with the same defaults: docs/python.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tune_kd import own_packages
from tune_kd.storage import home
from tune_kd.terminal import notebooks

__version__ = "0.1.0"

own_packages.claim()
home.settle()
notebooks.quieten()

if TYPE_CHECKING:
    from tune_kd.api.cache_contents import cache_ls, cache_rm
    from tune_kd.api.catalogues import list as list
    from tune_kd.api.machine import doctor
    from tune_kd.api.new_files import new
    from tune_kd.api.recorded_runs import export
    from tune_kd.api.reports import analyse, report
    from tune_kd.api.signatures import compare, explain, extend, plan, plan_study, rerun, resume, run, study
    from tune_kd.api.watch import watch
    from tune_kd.errors import InputError, Interrupted, RunFailed, StoreError
    from tune_kd.progress.base import Progress
    from tune_kd.results.outcome import Outcome
    from tune_kd.results.store import RecordedStore as Store
    from tune_kd.results.store import open_store

# Imported when first used: torch and Ray take seconds, `tune-kd --help` must not.
_LAZY = {
    "run": "api.studies",
    "compare": "api.studies",
    "extend": "api.studies",
    "resume": "api.studies",
    "study": "api.studies",
    "plan": "api.plans",
    "plan_study": "api.study_plans",
    "report": "api.reports",
    "analyse": "api.reports",
    "explain": "api.explanations",
    "list": "api.catalogues",
    "rerun": "api.recorded_runs",
    "export": "api.recorded_runs",
    "new": "api.new_files",
    "doctor": "api.machine",
    "watch": "api.watch",
    "cache_ls": "api.cache_contents",
    "cache_rm": "api.cache_contents",
    "open_store": "results.store",
    "Store": "results.store",
    "Outcome": "results.outcome",
    "Progress": "progress.base",
    "InputError": "errors",
    "StoreError": "errors",
    "RunFailed": "errors",
    "Interrupted": "errors",
}

# Without `list`: a star import must not take the place of Python's own.
__all__ = [
    "InputError",
    "Interrupted",
    "Outcome",
    "Progress",
    "RunFailed",
    "Store",
    "StoreError",
    "__version__",
    "analyse",
    "cache_ls",
    "cache_rm",
    "compare",
    "doctor",
    "explain",
    "export",
    "extend",
    "new",
    "open_store",
    "plan",
    "plan_study",
    "report",
    "rerun",
    "resume",
    "run",
    "study",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'tune_kd' has no attribute {name!r}")
    home_of = import_module(f"tune_kd.{_LAZY[name]}")
    return home_of.RecordedStore if name == "Store" else getattr(home_of, name)


def __dir__() -> Any:
    return sorted({*globals(), *_LAZY})
