"""Real runs of a policy of the user's own: the workers have its text, and its records are enough to go on from."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

import tune_kd
from tune_kd.errors import InputError, Interrupted, RunFailed
from tune_kd.events import EpochReport
from tune_kd.history.rerun import rerun
from tune_kd.progress.base import Progress

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 3, "teacher_recipe.epochs": 1}
POLICY = """
from dataclasses import dataclass
from typing import ClassVar

import torch
from policies import Policy
from policies.base import Temperature, hinton


class Turns(Temperature):
    def __init__(self, low):
        super().__init__()
        self.low = low

    def begin_epoch(self, epoch, epochs, steps):
        self.epoch = epoch

    def forward(self, step, student_logits, teacher_logits):
        # here
        return hinton(torch.tensor(self.low + step % 2))


@dataclass(frozen=True, kw_only=True)
class Mine(Policy):
    name: ClassVar[str] = "turns"
    moves_within: ClassVar[bool] = True
    low: float = 2.0

    def temperature(self, params, seed):
        return Turns(self.low)
"""


class Impatient(Progress):
    """Presses Ctrl-C at the first report."""

    def event(self, event):
        if isinstance(event, EpochReport):
            raise KeyboardInterrupt


def test_it_runs_goes_on_and_repeats_from_its_record_alone(ray_running, cache, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(POLICY)
    plan = {"budget": "2trials", "track": "budget", "settings": SMALL, "store": tmp_path / "runs", "cache": cache}
    with pytest.raises(Interrupted):
        tune_kd.run(f"{file}:Mine:low=5", max_concurrent=1, progress=Impatient(), **plan)
    file.write_text(POLICY + "# edited\n")
    with pytest.raises(InputError, match=r"cannot go on unchanged .*policy_sha256"):
        tune_kd.resume(store=plan["store"], cache=cache)
    file.unlink()
    store = tune_kd.resume(store=plan["store"], cache=cache, max_concurrent=1).store
    run, reports = store.runs().iloc[0], store.reports()
    assert (run.policy, run.status, run.spent) == ("turns:low=5", "completed", 2)
    assert json.loads(run.policy_json)["source"] == POLICY
    assert set(zip(reports.tau_min, reports.tau_max, strict=True)) == {(5, 6)}
    trials = store.trials()
    repeat = rerun(trials[trials.status == "completed"].trial_id.iloc[0], store=store, cache=cache)
    assert repeat.differences == ()


class Noted(Progress):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_what_it_raises_on_a_worker_is_shown_with_its_own_lines(ray_running, cache, tmp_path):
    file, heard = Path(tmp_path / f"broken{random.randrange(100)}.py"), Noted()
    file.write_text(POLICY.replace("# here", "assert self.epoch < 1, 'no more'"))
    where = {"settings": SMALL, "store": tmp_path / "runs", "cache": cache}
    with pytest.raises(RunFailed) as failed:
        tune_kd.run(f"{file}:Mine", progress=heard, max_failures=0, **where)
    number = POLICY.splitlines().index("        # here") + 1
    line = f"{file}, line {number}, in forward: AssertionError: no more"
    assert str(failed.value).endswith(line)
    assert tune_kd.open_store(where["store"]).trials().error.item() == line
    [note] = heard.notes
    assert note.splitlines() == [
        "The policy's traceback (most recent call last):",
        f'  File "{file}", line {number}, in forward',
        "    assert self.epoch < 1, 'no more'",
        *note.splitlines()[3:-1],  # carets, where this Python has them
        "AssertionError: no more",
    ]
