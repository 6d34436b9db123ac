"""The teacher's pass of a run: in parts, charged once, and together with other runs of the replicate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tune_kd.budget.amount import parse_budget
from tune_kd.budget.cost import Cost
from tune_kd.budget.ledger import Ledger
from tune_kd.execution.teacher_pass import TeacherPass
from tune_kd.planning.plan import plan_study
from tune_kd.training import teacher_outputs
from tune_kd.training.teacher_outputs import TeacherOutputs

EPOCHS = 10
EACH = Cost(flops=7, duration_s=0.5, energy_j=3.0, co2e_g=0.25)


class Pass:
    """A pass of a run in ``folder``, with what it has told."""

    def __init__(self, folder: Path, computing: dict[int, bool], budget: str = "5trials") -> None:
        [plan] = plan_study(policies=["random"], settings={"recipe.epochs": EPOCHS}).runs
        self.ledger, self.told = Ledger(budget=parse_budget(budget)), list[Cost]()
        self.made = TeacherPass(plan, folder, self.ledger, computing, steps=4, told=self.told.append)

    def parts(self) -> list[list[int]]:
        """All parts that are left."""
        return list(iter(self.made.next_part, None))


def compute(folder: Path, epochs: list[int]) -> None:
    """What a worker does."""
    outputs = TeacherOutputs(place=folder.joinpath)
    for epoch in epochs:
        outputs.write(epoch, torch.zeros(2, 3))
        outputs.write_cost(epoch, EACH)


def test_every_epoch_is_in_one_part_and_charged_once(tmp_path: Path) -> None:
    one = Pass(tmp_path, computing={})
    one.made.begin(None, room=1)
    parts = one.parts()
    assert sorted(epoch for part in parts for epoch in part) == list(range(EPOCHS))
    assert 4 <= len(parts) <= 5, "as many as pay for their start"
    for part in reversed(parts):
        assert not one.made.complete
        assert not one.made.first_is_there, "nobody has begun to compute the others"
        compute(tmp_path, part)
        one.made.computed(part)
        one.made.computed(part)  # told twice
    assert one.made.complete
    assert one.made.total == Cost(flops=70, duration_s=5.0, energy_j=30.0, co2e_g=2.5)
    assert sum((cost.flops for cost in one.told), 0) == 70


def test_a_trial_begins_when_the_first_epoch_is_there_and_all_others_are_with_workers(tmp_path: Path) -> None:
    """If it waited for one that no worker has begun, it could keep the only worker from it."""
    one = Pass(tmp_path, computing={})
    one.made.begin(None, room=1)
    first, *others = one.parts()
    one.made.started(first)
    compute(tmp_path, first)
    one.made.computed(first)
    for part in others:
        assert not one.made.first_is_there
        one.made.started(part)
    assert one.made.first_is_there
    assert one.made.awaited == sorted(epoch for part in others for epoch in part)


def test_a_part_whose_worker_has_died_is_not_waited_for_until_another_has_begun_it(tmp_path: Path) -> None:
    """A trial that waits may keep the worker that would compute it."""
    one = Pass(tmp_path, computing={})
    one.made.begin(None, room=1)
    first, *others = one.parts()
    for part in (first, *others):
        one.made.started(part)
    compute(tmp_path, first)
    one.made.computed(first)
    waiting = TeacherOutputs(place=tmp_path.joinpath, awaited=frozenset(one.made.awaited))
    one.made.again(others[0])
    assert waiting.read(others[0][0]) is None, "at once"
    assert not one.made.first_is_there, "no other trial begins"
    one.made.started(others[0])
    assert one.made.first_is_there
    for part in others:
        compute(tmp_path, part)
        one.made.computed(part)
    assert waiting.read(others[0][0]) is not None
    assert (one.made.complete, one.made.total.flops) == (True, 70), "charged once"


def test_a_run_that_comes_later_awaits_what_another_has_computed_and_pays_the_same(tmp_path: Path) -> None:
    computing: dict[int, bool] = {}
    first, second = Pass(tmp_path, computing), Pass(tmp_path, computing)
    first.made.begin(None, room=2)
    begun = [*(first.made.next_part() or ()), *(first.made.next_part() or ())]
    assert begun == [0, 1]
    second.made.begin(None, room=2)
    assert second.made.awaited == begun
    assert not second.made.first_is_there
    others = second.parts()
    compute(tmp_path, [0])
    second.made.computed([0])
    for part in others:
        second.made.started(part)
    assert not second.made.first_is_there, "no worker has begun what the first run has handed out"
    first.made.started(begun)
    assert second.made.first_is_there
    assert first.made.next_part() is None, "the second run has handed out the rest"
    assert first.made.handed_out
    for part in [begun, *others]:
        compute(tmp_path, part)
        for epoch in part:
            del computing[epoch]
        for run in (first, second):
            run.made.computed(part)
    assert second.made.total.flops == 70
    assert second.made.total.energy_j == 30.0
    third = Pass(tmp_path, computing)
    third.made.begin(None, room=2)
    assert third.made.complete
    assert third.made.total == second.made.total


def test_a_part_that_is_given_up_is_not_charged_and_nobody_waits_for_it(tmp_path: Path) -> None:
    one = Pass(tmp_path, computing={})
    one.made.begin(None, room=10)
    parts = one.parts()
    one.made.not_computed(parts[0])
    for part in parts[1:]:
        compute(tmp_path, part)
        one.made.computed(part)
    assert one.made.complete
    assert one.made.total.flops == 7 * (EPOCHS - len(parts[0]))
    readers = TeacherOutputs(place=tmp_path.joinpath, awaited=frozenset(parts[0]))
    assert readers.read(parts[0][0]) is None, "at once"


def test_an_awaited_epoch_is_there_when_it_is_read_and_only_that_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_outputs.time, "sleep", lambda _: compute(tmp_path, [3]))  # meanwhile
    assert TeacherOutputs(place=tmp_path.joinpath).read(3) is None
    logits = TeacherOutputs(place=tmp_path.joinpath, awaited=frozenset([3])).read(3)
    assert logits is not None
    assert logits.shape == (2, 3)


@pytest.mark.parametrize("room", [1, 2, 10])
@pytest.mark.parametrize(("budget", "epochs"), [("5J", 1), ("6J", 1), ("20J", 3), ("59J", 9), ("60J", 10), ("90J", 10)])
def test_a_pass_leaves_half_of_the_budget_whatever_is_at_work(
    tmp_path: Path, room: int, budget: str, epochs: int
) -> None:
    """An epoch costs 3 J. Of the first nobody knows that."""
    one = Pass(tmp_path, computing={}, budget=budget)
    one.made.begin(None, room=room)
    at_work: list[list[int]] = []
    computed: list[int] = []
    while True:
        while len(at_work) < room and (part := one.made.next_part()) is not None:
            at_work.append(part)
        if not at_work:
            break
        part = at_work.pop(0)
        assert part == [0] or computed, "the first epoch is awaited"
        compute(tmp_path, part)
        one.made.computed(part)
        computed += part
    assert computed == list(range(epochs))
    assert one.made.complete
    assert one.ledger.shared == 3 * epochs


def test_a_resumed_run_without_a_trial_left_has_nothing_computed_and_keeps_its_charge(tmp_path: Path) -> None:
    recorded = Cost(flops=70, duration_s=5.0, energy_j=30.0, co2e_g=2.5)
    one = Pass(tmp_path, computing={}, budget="99J")  # its outputs are gone
    one.made.begin(recorded, room=1)
    one.made.stop()
    assert one.parts() == []
    assert one.made.complete
    assert (one.made.total, one.ledger.spent) == (recorded, 30.0)


def test_a_resumed_run_is_charged_the_rest_beyond_what_is_recorded(tmp_path: Path) -> None:
    compute(tmp_path, [0, 1])
    one = Pass(tmp_path, computing={})
    one.made.begin(Cost(flops=14, duration_s=2.0, energy_j=8.0, co2e_g=1.0), room=1)
    assert one.told == [], "it was told before"
    for part in one.parts():
        compute(tmp_path, part)
        one.made.computed(part)
    assert (one.made.total.flops, one.made.total.energy_j) == (70, 8.0 + 8 * 3.0)
