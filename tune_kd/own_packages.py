"""Our packages have generic names; this makes sure that ``import policies`` means ours.

A folder with its own ``policies/`` comes first on ``sys.path`` when a script starts there, and on Ray's workers
too. After tune_kd is imported, in the driver or on a worker, these names mean the packages beside it, under any path.
Workers import from the folders that their driver imports from, and standard modules from Python's own library.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("analysis", "policies", "search_spaces")


class OwnPackagesFinder(MetaPathFinder):
    """Finds our top-level packages beside tune_kd and leaves every other import alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(ROOT)]) if fullname in PACKAGES else None


def claim() -> None:
    """Put the finder first. Raises ImportError if a foreign package has already taken one of our names."""
    for name in PACKAGES:
        module = sys.modules.get(name)
        folder = next(iter(getattr(module, "__path__", [])), None)
        taken = getattr(module, "__file__", None) or folder  # a folder without __init__.py has no file
        if taken is not None and (folder is None or Path(folder).resolve() != ROOT / name):
            raise ImportError(
                f"tune-kd's package {name!r} is shadowed by {taken}, which was imported first; "
                f"import tune_kd before it, or give that folder another name"
            )
    if not any(isinstance(finder, OwnPackagesFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, OwnPackagesFinder())


def workers_path() -> list[str]:
    """Folders for the head of a worker's ``sys.path``: Python's library, then folders of this process.

    Of these, the folder of the script and the working folder, each if Python has put it on the path here.
    """
    library = [sysconfig.get_path("stdlib"), str(sysconfig.get_config_var("DESTSHARED"))]
    ours = {str(Path(sys.argv[0]).resolve().parent), str(Path.cwd())}
    here = [folder for folder in map(os.path.abspath, sys.path) if folder in ours]
    return list(dict.fromkeys([*library, *here]))
