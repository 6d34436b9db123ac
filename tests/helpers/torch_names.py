"""The names of torch and torchvision that the project uses, and the list of those that their oldest versions have.

    python tests/helpers/torch_names.py

writes the list, ``torch_names.txt``, anew. It runs with the oldest versions alone, and looks every name up in them.
What is not a name cannot be seen here: methods of tensors and modules, and keywords of functions.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = ("tune_kd", "policies", "search_spaces", "analysis", "benchmarks")
PACKAGES = ("torch", "torchvision")
LIST = Path(__file__).with_suffix(".txt")


def sources() -> list[Path]:
    """Every file whose names are looked up."""
    return sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))


def oldest() -> dict[str, str]:
    """The oldest supported version of each package, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (re.match(r"([\w-]+)>=([\d.]+)", wanted) for wanted in project["dependencies"])
    return {match[1]: match[2] for match in found if match and match[1] in PACKAGES}


def used(text: str) -> set[str]:
    """The full names, as ``torch.nn.functional.pad``, that a source file takes from the packages."""
    tree = ast.parse(text)
    known = dict(_imported(tree))
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    chains = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in inner)
    reached = {name for node in chains if (name := _full_name(node, known)) is not None}
    return (reached | set(known.values())) - set(PACKAGES)


def lookup(name: str) -> Any:
    """What a full name means here. Raises AttributeError for one that there is not."""
    words = name.split(".")
    for split in range(len(words), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:split]))
        except ModuleNotFoundError:
            continue
        for word in words[split:]:
            found = getattr(found, word)
        return found
    raise AttributeError(f"there is no module {words[0]}")


def listed() -> tuple[str, list[str]]:
    """The list's heading, which names the versions, and its names."""
    heading, *names = LIST.read_text(encoding="utf-8").splitlines()
    return heading, names


def heading() -> str:
    return "# looked up in " + " and ".join(f"{package} {oldest()[package]}" for package in PACKAGES)


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The file's own names for what it imports from the packages, and the full ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in PACKAGES:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full_name(node: ast.expr, known: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    before = _full_name(node.value, known)
    return None if before is None else f"{before}.{node.attr}"


def main() -> None:
    for package, wanted in oldest().items():
        if not version(package).startswith(f"{wanted}."):
            sys.exit(f"{package} must be {wanted}, the oldest that is supported, got {version(package)}")
    names = sorted(set().union(*(used(file.read_text(encoding="utf-8")) for file in sources())))
    for name in names:
        lookup(name)
    LIST.write_text("\n".join([heading(), *names]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
