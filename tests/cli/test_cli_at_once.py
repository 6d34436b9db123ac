"""Wrong names, numbers and files are told before torch and Ray are imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from cli_records import sealed_store, study

from policies import POLICIES
from tune_kd.config.policy_names import check_name, policy_names
from tune_kd.errors import InputError

SCRIPT = """
import contextlib, io, json, os, sys
from tune_kd.cli import command_line

class Unwanted:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "ray"):
            raise SystemExit(f"{name} is imported")

sys.meta_path.insert(0, Unwanted())
answers = {}
for line in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as stderr, contextlib.redirect_stdout(io.StringIO()):
        try:
            code = command_line(line.split())
        except SystemExit as unwanted:
            code = str(unwanted)
    answers[line] = (code, stderr.getvalue(), os.listdir())
json.dump(answers, sys.stdout)
"""

# What was typed, and what is said of it.
WRONG = {
    "run --policy gird": "unknown policy 'gird'; did you mean 'grid'?",
    "compare --policies grid,stochastc:low=3": "unknown policy 'stochastc'",
    "compare --policies gird --policies stochastic": "unknown policy 'gird'",
    "compare --policies grid --policies stochastc": "unknown policy 'stochastc'",
    "run --budget 5": "the unit is missing",
    "compare --policies grid,fixed --max-replicates 9": "--max-replicates is for --until-decided",
    "run --scenario digts": "unknown scenario 'digts'",
    "run --data nowhere": "there is no data folder",
    "run --set recipe.lr=fast": "recipe.lr",
    "run --epochs -3": "recipe.epochs",
    "run --space nowhere": "unknown space 'nowhere'",
    "run --loss ce --space tau-alpha": "which loss 'ce' does not have",
    "run --track budgt": "unknown track 'budgt'",
    "run --replicates 0": "replicates must be ≥ 1",
    "run --max-concurrent 0": "--max-concurrent must be a number ≥ 1",
    "run --country XYZ": "unknown country 'XYZ'",
    "study table99": "unknown study 'table99'",
    "resume nope --store {store}": "unknown run or study 'nope'",
    "rerun nope --store {store}": "unknown trial 'nope'",
    "export nope --best new --store {store}": "unknown run 'nope'",
    "explain nope --store {store}": "unknown run or study 'nope'",
    "explain nope --images 0 --store {store}": "--images must be at least 1, got 0",
    "report nowhere": "nowhere is not a tune-kd store",
}


class Answer(NamedTuple):
    code: int | str  # a text: what was imported
    stderr: str
    written: list[str]  # files


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("at_once") / "runs"
    sealed_store(folder, study(["grid"]), trials=1)
    return folder


@pytest.fixture(scope="module")
def answers(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The answers to all lines, from one process that could import neither torch nor Ray."""
    lines = {typed: typed.format(store=store) for typed in WRONG}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(list(lines.values()))],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("empty"),
        check=True,
    )
    given = json.loads(done.stdout)
    return {typed: Answer(*given[line]) for typed, line in lines.items()}


@pytest.mark.parametrize("typed", WRONG)
def test_it_is_told_without_torch(typed: str, answers: dict[str, Answer]) -> None:
    answer = answers[typed]
    assert WRONG[typed] in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.code in (1, 2)
    assert answer.written == []


def test_our_policies_are_known_by_the_names_of_their_files() -> None:
    assert policy_names() == sorted(POLICIES)


def test_a_users_own_policy_is_not_looked_at() -> None:
    check_name("mine.py:Mine:low=3")
    check_name("tpe:seed=3")
    with pytest.raises(InputError, match="unknown policy ''"):
        check_name("")
