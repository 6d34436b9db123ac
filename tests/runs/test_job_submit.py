"""`ray job submit` as docs/cluster.md has it: with a working directory, and with a wheel of another tune-kd."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from packages_copy import copy_packages
from ray_head import Head, ray_head

from tune_kd.own_packages import PACKAGES, ROOT
from tune_kd.store import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp") is None, reason="needs ray[default], the extra `cluster`"),
]

SHORT = ["--epochs", "1", "--set", "teacher_recipe.epochs=1", "--address", "auto"]
POLICY = """
from dataclasses import dataclass
from typing import ClassVar

from policies.stochastic import Stochastic


@dataclass(frozen=True, kw_only=True)
class Mine(Stochastic):
    name: ClassVar[str] = "mine"
"""
SPACE = "[tau]\nlow = 3\nhigh = 5\nstep = 1\n"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with ray_head(cpus=2) as found:
        yield found


def test_nobody_submits_a_job_without_the_token(head: Head) -> None:
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{head.jobs}/api/jobs/")


def test_a_working_directory_brings_a_policy_and_a_space_and_shadows_nothing(
    head: Head, cache: Path, tmp_path: Path
) -> None:
    study, runs = tmp_path / "study", tmp_path / "runs"
    study.mkdir()
    (study / "my.py").write_text(POLICY, encoding="utf-8")
    (study / "narrow.toml").write_text(SPACE, encoding="utf-8")
    for package in PACKAGES:
        (study / package).mkdir()
        (study / package / "__init__.py").write_text(f"raise RuntimeError('the wrong {package}')", encoding="utf-8")
    command = ["tune-kd", "run", "--policy", "my.py:Mine", "--space", "narrow.toml", *SHORT]
    head.submit([*command, "--store", str(runs), "--cache", str(cache)], "--working-dir", study)
    store = open_store(runs)
    assert store.runs().policy.tolist() == ["mine"]
    assert store.trials().status.tolist() == ["completed"]
    assert store.reports()[["tau_min", "tau_max"]].to_numpy().tolist() == [[3, 5]]


def test_a_wheel_is_what_runs_in_place_of_what_the_nodes_have(head: Head, cache: Path, tmp_path: Path) -> None:
    wheel, runs = build_wheel(tmp_path, version="0.1.0+wheel"), tmp_path / "runs"
    packages = {"pip": [f"${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{wheel.name}"]}
    options = ["--working-dir", wheel.parent, "--runtime-env-json", json.dumps(packages)]
    command = ["tune-kd", "run", "--policy", "stochastic", *SHORT, "--store", str(runs), "--cache", str(cache)]
    head.submit(command, *options)
    store = open_store(runs)
    assert store.trials().status.tolist() == ["completed"]
    assert store.runs().code_version.tolist() == ["0.1.0+wheel"], "the driver's"
    assert store.nodes().os.tolist() == ["the wheel's"], "a worker's"


def build_wheel(folder: Path, version: str) -> Path:
    """Build the checkout as another version, whose nodes say that their operating system is the wheel's."""
    source = copy_packages(folder / "source")
    for name in ("README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    rewrite(ROOT / "pyproject.toml", source / "pyproject.toml", 'version = "0.1.0"', f'version = "{version}"')
    machine = source / "tune_kd" / "cluster" / "machine.py"
    rewrite(machine, machine, "platform.platform()", '"the wheel\'s"')
    build = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist", source]
    subprocess.run([sys.executable, "-m", "pip", *build], capture_output=True, check=True)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


def rewrite(old: Path, new: Path, text: str, by: str) -> None:
    """Write ``old`` as ``new`` with the one ``text`` in it replaced."""
    before, after = old.read_text(encoding="utf-8").split(text)
    new.write_text(before + by + after, encoding="utf-8")
