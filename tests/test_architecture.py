"""ARCHITECTURE.md names the folders that there are, and the layers that the contracts hold."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def folders() -> set[str]:
    """Every folder of the engine and of the analysis that has files of its own, as ``tune_kd/store/``."""
    files = (file for top in ("tune_kd", "analysis") for file in (ROOT / top).rglob("*.*") if file.is_file())
    found = {f"{file.parent.relative_to(ROOT).as_posix()}/" for file in files}
    return {name for name in found if "__pycache__" not in name}


def named() -> set[str]:
    """Every folder that the page names."""
    return set(re.findall(r"`([a-z_/]+/)`", PAGE))


def test_every_folder_is_named() -> None:
    assert folders() - named() == set()


def test_every_folder_that_is_named_is_there() -> None:
    here = (ROOT, ROOT / "tune_kd")
    assert {name for name in named() if not any((top / name).is_dir() for top in here)} == set()


def test_every_module_that_is_named_is_there() -> None:
    modules = set(re.findall(r"`([a-z_/]+\.(?:py|toml))`", PAGE))
    here = (ROOT, ROOT / "tune_kd", ROOT / "policies")
    assert {name for name in modules if not any((top / name).is_file() for top in here)} == set()


def test_the_layers_are_those_of_the_contract() -> None:
    [shown] = re.findall(r"```\n(.+?)```", PAGE, re.DOTALL)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [engine] = [contract for contract in contracts if contract.get("containers") == ["tune_kd"]]
    assert shown.splitlines() == engine["layers"]
