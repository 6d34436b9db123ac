"""The commands of the README as they stand: data, networks and policies of each are good, up to the first record.

Their stores are where nothing can be written. That is found out last, when all else has been planned, read and tried.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tune_kd import models
from tune_kd.cli import command_line
from tune_kd.config.scenario import load_scenario

README = Path(__file__).parents[2] / "README.md"
NOWHERE = "/proc/self/runs"
LINES = [line.split(" #")[0].strip() for line in README.read_text(encoding="utf-8").splitlines()]
COMMANDS = [line for line in LINES if re.match(r"tune-kd (run|compare) ", line) and "STUDY" not in line]
CLASSES, SIZE = ("cats", "dogs"), 32


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands name: DIR, images of two classes, and FILE, weights of a teacher for them."""
    folder = tmp_path_factory.mktemp("readme")
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 5)):
        for name in CLASSES:
            (folder / "DIR" / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "DIR" / part / name / f"{number}.png")
    teacher = models.build(load_scenario("images").teacher, classes=len(CLASSES), channels=3, image_size=SIZE)
    torch.save(teacher.state_dict(), folder / "FILE")
    return folder


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_can_be_run_as_it_stands(
    line: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "timm:" in line:
        pytest.importorskip("timm", reason="needs the package timm")
    monkeypatch.chdir(here)
    if "mine.py" in line and not Path("mine.py").exists():
        assert command_line(["new", "policy", "mine"]) == 0
    arguments = [*shlex.split(line)[1:], "--store", NOWHERE, "--cache", str(tmp_path), "--quiet"]
    assert command_line(arguments) == 2
    assert f"cannot make a store at {NOWHERE}" in capsys.readouterr().err.splitlines()[-1]


def test_there_are_such_commands() -> None:
    assert len(COMMANDS) >= 10
