"""CPU seconds of a process tree, on recorded scans."""

import pytest

from tune_kd.meter.processes import ProcessTimes
from tune_kd.meter.tree import ProcessTree

INIT, ROOT, CHILD, GRANDCHILD, STRANGER = 1, 10, 11, 12, 99


def process(parent: int, own_s: float, reaped_s: float = 0.0, started: float = 0.0) -> ProcessTimes:
    return ProcessTimes(parent=parent, started=started, own_s=own_s, reaped_s=reaped_s)


def test_what_a_process_used_before_belongs_to_nobody() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 500.0, reaped_s=70.0)})
    assert tree.advance({ROOT: process(INIT, 500.5, reaped_s=70.0)}) == pytest.approx(0.5)


def test_living_children_are_counted_and_strangers_are_not() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    now = {
        ROOT: process(INIT, 1),
        CHILD: process(ROOT, 2),
        GRANDCHILD: process(CHILD, 3),
        STRANGER: process(INIT, 50),
    }
    assert tree.advance(now) == 6
    assert tree.pids == {ROOT, CHILD, GRANDCHILD}


def test_a_child_that_came_and_went_between_two_scans_is_counted() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    assert tree.advance({ROOT: process(INIT, 0, reaped_s=4)}) == 4


def test_a_child_that_was_seen_and_then_waited_for_is_counted_once() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    seen = tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 3)})
    reaped = tree.advance({ROOT: process(INIT, 0, reaped_s=3.5)})
    assert (seen, reaped) == (3, 0.5)


def test_a_child_that_ends_while_a_scan_is_made_is_counted_once() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    seen = tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 3)})
    torn = tree.advance({ROOT: process(INIT, 1)})  # the root was read before it had waited, the child would be after
    reaped = tree.advance({ROOT: process(INIT, 2, reaped_s=3.5)})
    assert (seen, torn, reaped) == (3, 1, 1.5)


def test_a_child_that_was_read_before_its_parent_had_waited_for_it_is_counted_once() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    spent_s = tree.advance({CHILD: process(ROOT, 3), ROOT: process(INIT, 0, reaped_s=3)})  # both of it
    spent_s += tree.advance({ROOT: process(INIT, 0, reaped_s=3)})
    assert spent_s + tree.advance({ROOT: process(INIT, 0, reaped_s=8)}) == 8


def test_what_is_owed_for_a_child_that_nobody_waits_for_is_forgotten() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 3)})
    assert [tree.advance({ROOT: process(INIT, own_s)}) for own_s in (1, 2)] == [1, 1]
    assert tree.advance({ROOT: process(INIT, 2, reaped_s=4)}) == 4


def test_a_child_and_its_own_child_that_end_together_are_counted_once() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 3), GRANDCHILD: process(CHILD, 2)})
    assert tree.advance({ROOT: process(INIT, 0, reaped_s=6)}) == 1


def test_a_child_that_nobody_waits_for_hides_nobody_elses_use() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 3)})
    assert tree.advance({ROOT: process(INIT, 2)}) == 2


def test_an_adopted_process_stays_in_the_tree_and_so_do_its_children() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    tree.advance({ROOT: process(INIT, 0), CHILD: process(ROOT, 1), GRANDCHILD: process(CHILD, 1)})
    now = {ROOT: process(INIT, 0, reaped_s=1), GRANDCHILD: process(INIT, 2), 13: process(GRANDCHILD, 5)}
    assert tree.advance(now) == 6
    assert tree.pids == {ROOT, GRANDCHILD, 13}


def test_a_new_process_with_an_old_pid_is_another_one() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 8)})
    reused = {ROOT: process(INIT, 20, started=77)}
    assert tree.has_ended(reused)
    assert tree.advance(reused) == 0


def test_a_preview_reads_the_known_processes_and_changes_nothing() -> None:
    tree = ProcessTree(ROOT, {ROOT: process(INIT, 0)})
    now = {ROOT: process(INIT, 2), CHILD: process(ROOT, 1)}
    assert tree.preview(now) == 2
    assert tree.preview(now) == 2
    assert tree.advance(now) == 3


def test_a_root_that_is_not_there_is_refused() -> None:
    with pytest.raises(ProcessLookupError):
        ProcessTree(ROOT, {})
