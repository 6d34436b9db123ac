"""What the project has of shell scripts, to shellcheck's liking."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (".ci", "benchmarks", "docs", "examples", "tests")
SCRIPTS = [
    ROOT / ".ci" / "run",
    *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.sh"))),
]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs Debian's shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=[str(path.relative_to(ROOT)) for path in SCRIPTS])
def test_a_shell_script_is_as_shellcheck_likes_it(script: Path) -> None:
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
