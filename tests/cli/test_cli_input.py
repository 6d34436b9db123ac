"""Unusable input: one line that names what is wrong, what was given and what is near, exit code 2, no Ray."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from cli_records import sealed_store, study
from PIL import Image


class Answer(NamedTuple):
    code: int
    lines: list[str]  # on stderr
    stdout: str


# What was typed, and what the one line has to say.
BAD_INPUT = {
    "run --policy stocastic": ["policy", "'stocastic'", "'stochastic'"],
    "compare --policies grid,rondom": ["policy", "'rondom'", "'random'"],
    "run --policy annealing:shape=cosin": ["shape", "'cosin'", "cosine"],
    "run --scenario digit": ["scenario", "'digit'", "'digits'"],
    "run --space ta": ["space", "'ta'", "'tau'"],
    "run --student digits-studnt": ["student", "'digits-studnt'", "'digits-student'"],
    "run --teacher resnet": ["teacher", "'resnet'", "resnet18"],
    "run --student timm:resnet10": ["'timm:resnet10'", "timm", "'resnet10t'"],
    "run --student torchvision.model:resnet18": ["torchvision.model", "cannot be imported"],
    "run --student torchvision.models:resnet81": ["no callable 'resnet81'", "'resnet18'"],
    "run --student torchvision.models:resnet18": ["torchvision.models:resnet18", "cannot be made with classes=10"],
    "run --teacher-checkpoint nowhere.pt": ["no teacher checkpoint 'nowhere.pt'", "torch.save"],
    "run --teacher-checkpoint crowded/notes.txt": ["crowded/notes.txt", "without running code"],
    "run --teacher-checkpoint weights.pt": ["weights.pt does not fit digits-teacher", "missing: 0.weight", "head.bias"],
    "run --recipe author": ["recipe 'author'", "'authors'"],
    "run --recipe paper --set recipe_name=authors": ["recipe_name", "twice", "--recipe"],
    "run --batch-size 1": ["recipe.batch_size", "2", "got 1"],
    "run --loss hdk": ["loss", "'hkd'", "got 'hdk'"],
    "run --loss ce --alpha 0.5": ["loss 'ce'", "alpha", "left out", "got 0.5"],
    "run --loss ce --space tau-alpha": ["'tau-alpha'", "α", "loss 'ce'"],
    "run --alpha 0.5 --space tau-alpha --policy grid": ["'tau-alpha' searches α", "0.5", "leave it out"],
    "run --loss cmc --reduction classmean": ["loss 'cmc' has no KL term", "left out", "'classmean'"],
    "run --reduction mean": ["reduction", "'classmean'", "got 'mean'"],
    "run --policy fixed:tau=0": ["fixed:tau=0", "tau", "> 0", "got 0.0"],
    "run --policy student:tau=4": ["'student'", "no options"],
    "run --budget 0trials": ["budget", "> 0 trials", "got 0", "20trials"],
    "run --budget=-3epochs": ["budget", "> 0 epochs", "got -3"],
    "run --budget 20": ["budget", "'20'", "unit", "20trials"],
    "run --track recip": ["track", "'recip'", "'recipe'"],
    "run --track target": ["--target-accuracy", "0.95"],
    "run --target-accuracy 0.9": ["--target-accuracy 0.9", "--track target", "recipe"],
    "run --data nowhere": ["data folder", "nowhere"],
    "run --data empty": ["data folder", "empty"],
    "run --data small": ["class 'b'", "images"],
    "run --data broken": ["bad.png", "skip"],
    "run --space zero.toml": ["τ must be > 0", "0"],
    "run --store crowded": ["crowded", "not a tune-kd store", "notes.txt"],
    "report crowded": ["crowded", "not a tune-kd store"],
    "report nowhere": ["nowhere", "not a tune-kd store"],
    "list runs --store crowded": ["crowded", "not a tune-kd store"],
    "run --set recipe.lr": ["key=value", "'recipe.lr'"],
    "run --set alfa=1": ["field", "'alfa'", "'alpha'"],
    "run --alpha 2": ["alpha", "got 2.0"],
    "run --alpha 0.5 --set alpha=0.6": ["alpha", "twice"],
    "run --epochs many": ["'--epochs'", "got 'many'"],
    "run --replicates 0": ["replicates", "≥ 1", "got 0"],
    "run --max-concurrent 0": ["--max-concurrent", "≥ 1", "got 0"],
    "run --cpus-per-trial inf": ["--cpus-per-trial", "number ≥ 0.01", "got inf"],
    "run --country GERMANY_": ["country", "'GERMANY_'", "DEU"],
    "run --pue 0.5": ["PUE", ">= 1", "got 0.5"],
    "run --polcy grid": ["'--polcy'", "'--policy'"],
    "compare": ["--policies", "--extend"],
    "compare --policies grid --force": ["--force", "--extend"],
    "compare --extend s1 --policies grid --replicates 2": ["leave out --policies", "s1"],
    "compare --extend s1 --replicates 2 --budget 5trials --epochs 3": ["leave out", "--epochs, --budget"],
    "compare --extend s1 --until-decided": ["s1", "none can be planned once replicates were seen", "--until-decided"],
    "compare --policies grid,fixed --max-replicates 9": ["--max-replicates is for --until-decided"],
    "compare --policies grid,fixed --until-decided --replicates 9": ["--until-decided", "--max-replicates 9"],
    "compare --policies grid --until-decided": ["--until-decided compares policies", "only grid"],
    "compare --extend s1 --store full": ["s1", "1 replicate", "--replicates", "got 1"],
    "compare --extend s2 --replicates 2 --store full": ["study", "'s2'", "'s1'"],
    "compare --extend s1 --replicates 2 --store nowhere": ["nowhere", "not a tune-kd store"],
    "plan": ["--policies"],
    "plan --policies grid,rondom": ["policy", "'rondom'", "'random'"],
    "plan --policies grid --store crowded": ["crowded", "not a tune-kd store"],
    "report full --budget 20": ["budget", "'20'", "unit"],
    "report full --budget 3trials-equivalent": ["currency", "'trials-equivalent'", "joules"],
    "report full --budget 2trials --html page.html": ["--html", "--budget"],
    "compare --policies ,": ["no policy", "--policies"],
    "reprot": ["'reprot'", "'report'"],
    "report --format tabel": ["format", "'tabel'", "'table'"],
    "report --by cost": ["order", "'cost'", "energy"],
    "report full --country GERMANY_": ["country", "'GERMANY_'", "DEU"],
    "report full --pue 0.9": ["PUE", ">= 1", "got 0.9"],
    "report full --carbon-intensity=-1": ["carbon intensity", ">= 0", "got -1"],
    "report full --html crowded/notes.txt/page.html": ["crowded/notes.txt/page.html", "cannot be written"],
    "resume --store nowhere": ["nowhere", "not a tune-kd store"],
    "resume --store full": ["nothing to resume", "full", "2 runs have ended"],
    "resume s1-grid-r1 --store full": ["'s1-grid-r1'", "'s1-grid-r0'"],
    "resume --budget 3trials": ["'--budget'"],
    "run --meter-period 0": ["--meter-period", "≥ 0.1 s", "got 0"],
    "run --idle-share 2": ["--idle-share", "[0, 1]", "got 2"],
    "run --cpu-watts=-1": ["--cpu-watts", "≥ 0", "got -1"],
    "store lss": ["'lss'", "'ls'"],
    "store ls --store nowhere": ["nowhere", "not a tune-kd store"],
    "store show s1-grid-r1 --store full": ["'s1-grid-r1'", "'s1-grid-r0'"],
    "store rm s1-grid-r1 --store full": ["'s1-grid-r1'", "'s1-grid-r0'"],
    "store rm s1-grid-r0 --store full": ["nobody to ask", "--yes"],
    "store export --store full": ["--csv", "--jsonl", "--codecarbon"],
    "store export --store full --csv crowded/notes.txt": ["crowded/notes.txt", "cannot export"],
    "store export --store full --codecarbon crowded/notes.txt": ["crowded/notes.txt", "there already"],
    "store export --store full --codecarbon no/where.csv": ["no/where.csv", "cannot be written"],
    "store merge nowhere --store full": ["nowhere", "not a tune-kd store"],
    "store merge": ["FROM"],
    "rerun s1-grid-r0-0007 --store full": ["'s1-grid-r0-0007'", "'s1-grid-r0-0001'"],
    "rerun s1-grid-r0-0000 --store nowhere": ["nowhere", "not a tune-kd store"],
    "export s1-grid-r1 --best student --store full": ["'s1-grid-r1'", "'s1-grid-r0'"],
    "export s1-grid-r0 --store full": ["--best"],
    "export s1-grid-r0 --best crowded --store full": ["crowded", "empty folder"],
    "list polices": ["'polices'", "'policies'"],
    "list": ["WHAT"],
    "doctor --nothing": ["--nothing"],
}

DRIVER = """
import contextlib, io, json, sys
from tune_kd.cli import command_line

answers = {}
for typed in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()) as stdout:
        code = command_line(typed.split())
    answers[typed] = (code, stderr.getvalue().splitlines(), stdout.getvalue())
ray = sys.modules.get("ray")
json.dump({"answers": answers, "ray": ray is not None and ray.is_initialized()}, sys.stdout)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*.parquet")}


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Answer], bool]:
    """The answers to all bad input, from one process; and whether that process has started Ray."""
    folder = tmp_path_factory.mktemp("input")
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(encoded, "PNG")
    picture = encoded.getvalue()
    for path, content in {
        "crowded/notes.txt": b"mine",
        "zero.toml": b"[tau]\nlow = 0\nhigh = 3\nstep = 1\n",
        **{f"small/train/a/{number}.png": picture for number in range(12)},
        "small/train/b/0.png": picture,
        **{f"broken/train/{name}/{number}.png": picture for name in "ab" for number in range(40)},
        "broken/train/b/bad.png": b"not a picture",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "empty").mkdir()
    torch.save({"head.bias": torch.zeros(3)}, folder / "weights.pt")
    sealed_store(folder / "full", study())
    before = contents(folder / "full")
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(list(BAD_INPUT))],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "TUNE_KD_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout)
    assert {path.name for path in folder.iterdir()} & {"runs", "student"} == set()
    assert contents(folder / "full") == before
    return {typed: Answer(*answer) for typed, answer in result["answers"].items()}, result["ray"]


@pytest.mark.parametrize("typed", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2(answered: tuple[dict[str, Answer], bool], typed: str) -> None:
    answer = answered[0][typed]
    assert answer.code == 2
    assert answer.stdout == ""
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith("tune-kd: ")
    assert [words for words in BAD_INPUT[typed] if words not in answer.lines[0]] == []


def test_bad_input_starts_no_ray(answered: tuple[dict[str, Answer], bool]) -> None:
    assert answered[1] is False
