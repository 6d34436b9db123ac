"""Whether a Jupyter kernel runs this process, and what other libraries would print there."""

from __future__ import annotations

import sys


def in_notebook() -> bool:
    """Does a Jupyter kernel run this process?"""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def quieten() -> None:
    """In a notebook, keep Ray and Optuna from asking for ipywidgets: nothing that is used of them needs those."""
    if not in_notebook():
        return
    import logging
    import warnings

    warnings.filterwarnings("ignore", message="IProgress not found")
    logging.getLogger("ray.widgets.util").setLevel(logging.ERROR)
