"""The names of our policies, without importing one: torch, which policies are made of, takes a second and more.

A policy is called as its file is, ``_`` written as ``-``; a test compares them with the catalogue.
"""

from __future__ import annotations

from tune_kd.errors import unknown
from tune_kd.own_packages import ROOT

NO_POLICY = (
    *("__init__", "base", "testing"),
    *("improvement", "modelled", "published", "schedulers", "searchers", "spread"),  # what several policies share
)


def policy_names() -> list[str]:
    """All of them, in the order of the alphabet."""
    files = (path.stem for path in (ROOT / "policies").glob("*.py"))
    return sorted(name.replace("_", "-") for name in files if name not in NO_POLICY)


def check_name(text: str) -> None:
    """See that there is the policy of ``NAME[:option=value]…``; a user's ``FILE.py:Class`` is not looked at.

    Raises InputError.
    """
    name = text.partition(":")[0]
    if not name.endswith(".py") and name not in (names := policy_names()):
        raise unknown("policy", name, names)
