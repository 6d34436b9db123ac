"""The displays, fed with real events and compared to what is on the screen."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from cli_records import ended, metered, play, report, started, study, trial
from rich.console import Console

from tune_kd.budget.cost import Cost
from tune_kd.budget.ledger import Ledger
from tune_kd.config.scenario import Scenario
from tune_kd.data import ImageData
from tune_kd.events import Event
from tune_kd.execution.inputs import show_data, show_networks
from tune_kd.planning.plan import RunPlan
from tune_kd.progress.base import Progress
from tune_kd.progress.displays import LineProgress, choose_progress
from tune_kd.progress.live_table import RichProgress
from tune_kd.progress.state import RunView, time_left_s
from tune_kd.progress.watching import NotesOnly, headline


class Clock:
    """Stands at what it was last set to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


Screen = Callable[[RichProgress], list[str]]


@pytest.fixture
def on_terminal(clock: Clock) -> Iterator[Callable[[int], RichProgress]]:
    """Displays on a terminal so many columns wide; closed at the end."""
    made: list[RichProgress] = []

    def make(width: int) -> RichProgress:
        console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
        made.append(RichProgress(console, clock))
        return made[-1]

    yield make
    for display in made:
        display.close()


def screen(display: RichProgress) -> list[str]:
    """The live part as it is drawn now."""
    console = Console(file=io.StringIO(), width=display.console.width, color_system=None)
    console.print(display.renderable(list(display.runs.values())))
    output = console.file
    assert isinstance(output, io.StringIO)
    return [line.rstrip() for line in output.getvalue().splitlines()]


def test_a_line_a_trial_with_its_tau_accuracy_energy_and_time(clock: Clock) -> None:
    output, plan = io.StringIO(), study()
    grid, stochastic = plan.runs
    display = LineProgress(output, clock)
    display.study_started([plan], "runs")
    display.stage("starting Ray")
    play(display, grid, [*trial(grid, 0), *trial(grid, 1)])
    clock.now_s = 125
    display.run_ended(grid, "completed")
    play(display, stochastic, trial(stochastic, 0, tau_min=2.0, tau_max=20.0))
    assert output.getvalue().splitlines() == [
        "compare: 2 policies on digits, recipe track, at most 20 trials each; study s1, store runs",
        "starting Ray",
        "grid r0: trial 1 of 19, τ 2, 30 epochs, val 80.0 %, 30.0 mWh, 3.0 s",
        "grid r0: trial 2 of 19, τ 3, 30 epochs, val 80.0 %, 30.0 mWh, 3.0 s",
        "grid r0: completed, 2 trials, best val 80.0 %, 60.0 mWh, took 2 min 05 s",
        "stochastic r0: trial 1 of 1, τ 2–20, 30 epochs, val 80.0 %, 30.0 mWh, 3.0 s",
    ]


def test_a_trial_that_diverged_is_named_where_it_ends_and_counted_where_its_run_ends(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for display in (LineProgress(clock=clock), RichProgress(Console(stderr=True, width=100), clock)):
        planned = study(("grid",))
        [run] = planned.runs
        display.study_started([planned], "./runs")
        play(display, run, [*trial(run, 0, epochs=3), *trial(run, 1, epochs=3, diverged_epoch=2, tau_min=math.nan)])
        display.run_ended(run, "completed")
        display.close()
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "diverged" in line] == [
        "grid r0: trial 2 of 19, τ 3, 3 epochs, val 53.0 %, 3.00 mWh, 0.3 s, diverged in epoch 2",
        "grid r0: completed, 2 trials, 1 diverged, best val 53.0 %, 6.00 mWh, took 0.0 s",
        "grid r0: 1 of 2 trials diverged",
    ]


def test_a_trial_that_broke_says_why_on_its_line(clock: Clock) -> None:
    output, plan = io.StringIO(), study()
    run, error = plan.runs[0], "Traceback (most recent call last):\n  …\nRuntimeError: out of memory\n"
    display = LineProgress(output, clock)
    display.study_started([plan], "runs")
    play(display, run, [started(run, 0), report(run, 0, 1), ended(run, 0, status="failed", error=error)])
    last = output.getvalue().splitlines()[-1]
    assert (
        last == "grid r0: trial 1 of 19, τ 4, 1 epoch, val 51.0 %, 1.00 mWh, 0.1 s, failed, RuntimeError: out of memory"
    )


def test_nothing_is_said_before_the_input_has_been_checked() -> None:
    output = io.StringIO()
    LineProgress(output).stage("reading the data")
    assert output.getvalue() == ""


def test_the_data_are_said_once_however_many_parts_of_a_study_share_them(digits: ImageData) -> None:
    output, quiet, said = io.StringIO(), io.StringIO(), set[str]()
    noted = replace(digits, name="photos", left_out={".heic": 1200}, test_from="val/", skipped_images=3)
    for display in (LineProgress(output), NotesOnly(quiet)):
        for _ in range(2):
            show_data(noted, display, said)
        said.clear()
    assert output.getvalue().splitlines() == [
        "photos: 10 classes · 340 training, 60 validation, 270 test images · 3 more cannot be decoded · test set: val/",
        "photos: left out: 1,200 × .heic",
    ]
    assert quiet.getvalue() == "photos: left out: 1,200 × .heic\n"


def test_quiet_keeps_what_must_not_be_lost() -> None:
    output, plan = io.StringIO(), study()
    display = NotesOnly(output)
    display.study_started([plan], "runs")
    display.stage("starting Ray")
    play(display, plan.runs[0], trial(plan.runs[0], 0))
    display.note("the meter stopped: energy is unknown from here on")
    display.close()
    assert output.getvalue() == "the meter stopped: energy is unknown from here on\n"


def test_the_live_table_fits_80_columns_and_wraps_long_names(
    on_terminal: Callable[[int], RichProgress], clock: Clock
) -> None:
    display, plan = on_terminal(80), study(["grid", "annealing:shape=exponential"], replicates=2)
    grid, annealing = plan.runs[:2]
    display.study_started([plan], "runs")
    play(display, grid, (event for index in range(19) for event in trial(grid, index)))
    clock.now_s = 3725
    display.run_ended(grid, "completed")
    play(display, annealing, [started(annealing, 0, tau=None), report(annealing, 0, 12)])
    clock.now_s += 70
    assert screen(display) == [
        "run                               trials epoch best val   energy            time",
        "grid r0                  ━━━━━━━━  19/19         80.0 %  570 mWh took 1 h 02 min",
        "annealing:shape=         ━━━         0/1 12/30   62.0 % 12.0 mWh 1 min 45 s left",
        "exponential r0",
        "1 of 4 runs              ━━━╸                            582 mWh 1 h 07 min left",
        "under way: annealing:shape=exponential r0 trial 1",
    ]


def test_of_runs_that_share_the_workers_every_trial_under_way_is_named_and_where_there_are_nodes_its_node(
    on_terminal: Callable[[int], RichProgress],
) -> None:
    display, plan = on_terminal(100), study(["grid", "random"])
    grid, random = plan.runs[:2]
    display.study_started([plan], "runs")
    for run in (grid, random):
        display.run_started(run, Ledger(budget=run.budget))
    for event in (started(grid, 2), started(random, 0), report(grid, 2, 5)):
        display.event(event)
    display._show()
    assert screen(display)[-1] == "under way: grid r0 trial 3, random r0 trial 1"
    for event in (replace(report(grid, 2, 6), node_id="aaaaaaaa1"), replace(report(random, 0, 1), node_id="bbbbbbbb2")):
        display.event(event)
    display._show()
    assert screen(display)[-1] == "under way: grid r0 trial 3 on aaaaaaaa, random r0 trial 1 on bbbbbbbb"
    many = on_terminal(44)
    many.study_started([plan], "runs")
    many.run_started(grid, Ledger(budget=grid.budget))
    for index in range(9):
        many.event(started(grid, index))
    many._show()
    assert screen(many)[-1] == "under way: 9 trials"


def test_a_wide_terminal_shows_whole_names(on_terminal: Callable[[int], RichProgress]) -> None:
    display, plan = on_terminal(120), study(["annealing:shape=exponential"])
    display.study_started([plan], "runs")
    play(display, plan.runs[0], trial(plan.runs[0], 0))
    assert "annealing:shape=exponential r0" in screen(display)[1]


@pytest.mark.parametrize("width", [80, 81, 99, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal(
    on_terminal: Callable[[int], RichProgress], clock: Clock, width: int
) -> None:
    display, plan = on_terminal(width), study(["annealing:shape=exponential", "grid"], replicates=10)
    display.study_started([plan], "runs")
    for run in plan.runs[:11]:
        play(display, run, trial(run, 0, energy_j=None))
        clock.now_s += 100_000
        display.run_ended(run, "failed")
    play(display, plan.runs[11], [started(plan.runs[11], 0), report(plan.runs[11], 0, 1)])
    lines = screen(display)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("width", range(20, 80, 4))
def test_the_live_table_shows_whole_names_and_figures_at_any_width(
    on_terminal: Callable[[int], RichProgress], clock: Clock, width: int
) -> None:
    display, plan = on_terminal(width), study(["annealing:shape=exponential", "grid"])
    display.study_started([plan], "runs")
    play(display, plan.runs[0], trial(plan.runs[0], 0))
    clock.now_s = 3725
    display.run_ended(plan.runs[0], "completed")
    play(display, plan.runs[1], [started(plan.runs[1], 0), report(plan.runs[1], 0, 12)])
    lines = screen(display)
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    joined = "".join("".join(lines).split())
    assert {"grid", "r0"} <= {*joined.replace("r0", " r0 ").replace("grid", " grid ").split()}
    for header, figure in (("best val", "80.0 %"), ("energy", "30.0 mWh"), ("epoch", "12/30")):
        if header.replace(" ", "") in "".join(lines[:2]).replace(" ", ""):
            assert figure in "\n".join(lines)
    assert "took 1 h 02 min" in "\n".join(lines) or "time;" in "".join(lines[-4:])


def test_of_many_runs_the_last_ones_are_on_the_screen_though_names_wrap(
    on_terminal: Callable[[int], RichProgress],
) -> None:
    display, plan = on_terminal(40), study(["annealing:shape=exponential"], replicates=12)
    display.study_started([plan], "runs")
    for run in plan.runs:
        play(display, run, trial(run, 0))
    console = Console(file=io.StringIO(), width=40, color_system=None)
    lines = ["".join(piece.text for piece in line) for line in console.render_lines(display.live.get_renderable())]
    assert len(lines) < display.console.height
    assert [line for line in lines if "r11" in line]
    assert not [line for line in lines if "r0 " in line]


def test_the_live_table_is_drawn_and_stays_when_it_ends(
    on_terminal: Callable[[int], RichProgress], clock: Clock
) -> None:
    display, plan = on_terminal(80), study(["stochastic"])
    display.stage("loading")
    display.study_started([plan], "runs")
    play(display, plan.runs[0], trial(plan.runs[0], 0))
    clock.now_s = 3
    display.run_ended(plan.runs[0], "completed")
    display.note("something to know")
    display.close()
    output = display.console.file
    assert isinstance(output, io.StringIO)
    assert "study s1, store runs" in output.getvalue()
    assert "something to know" in output.getvalue()
    assert "30.0 mWh took 3.0 s" in output.getvalue().splitlines()[-2]


def test_closing_a_display_that_showed_nothing_is_harmless(on_terminal: Callable[[int], RichProgress]) -> None:
    display = on_terminal(80)
    display.close()
    output = display.console.file
    assert isinstance(output, io.StringIO)
    assert output.getvalue() == ""


def test_time_left_follows_from_what_is_done() -> None:
    assert time_left_s(0.25, 10) == 30
    assert time_left_s(1, 10) == 0
    assert time_left_s(0, 10) is None


def view(policy: str = "grid", **options: str) -> RunView:
    run = study([policy], **options).runs[0]
    return RunView(plan=run, ledger=Ledger(budget=run.budget, max_trials=run.max_trials), started_s=0)


def feed(run: RunView, *events: object) -> None:
    for event in events:
        run.ledger(event)  # type: ignore[arg-type]
        run.event(event)  # type: ignore[arg-type]


def test_a_run_is_done_by_the_trials_it_can_have() -> None:
    run = view(budget="4trials")
    feed(run, *trial(run.plan, 0), started(run.plan, 1), report(run.plan, 1, 15))
    assert run.fraction == pytest.approx(1.5 / 4)


def test_a_run_is_done_by_its_budget_where_trials_have_no_end() -> None:
    run = view("random", budget="1Wh", track="budget")
    feed(run, *trial(run.plan, 0))
    assert run.plan.trials_at_most is None
    assert run.fraction == pytest.approx(0.03)


def test_a_retried_trial_counts_once_and_costs_twice() -> None:
    run = view()
    feed(run, started(run.plan, 0), report(run.plan, 0, 10), ended(run.plan, 0, status="failed"))
    feed(run, started(run.plan, 0, attempt=1), report(run.plan, 0, 20, attempt=1))
    assert (run.trials_done, len(run.trials)) == (0, 1)
    assert run.energy_j == pytest.approx(30 * 3.6)


def test_the_energy_of_a_run_is_that_of_its_closed_accounts() -> None:
    run = view()
    feed(run, *trial(run.plan, 0), metered(run.plan, 0, 40 * 3.6))
    assert run.energy_j == pytest.approx(40 * 3.6)  # with what it used after its last report
    feed(run, started(run.plan, 1), ended(run.plan, 1, status="failed"), metered(run.plan, 1, 3.6))
    assert run.energy_j == pytest.approx(41 * 3.6)  # it died before its first report


def test_an_unmeasured_attempt_makes_the_energy_of_the_run_unknown() -> None:
    run = view()
    feed(run, *trial(run.plan, 0), *trial(run.plan, 1, energy_j=None))
    assert run.energy_j is None


@pytest.mark.parametrize(("asked", "shown"), [((18.0, 36.0), 162.0), ((18.0, None), None)])
def test_what_the_trials_share_is_in_the_energy_shown(asked: tuple[float | None, ...], shown: float | None) -> None:
    plan = study()
    display = LineProgress(io.StringIO())
    display.study_started([plan], "runs")
    display.run_started(plan.runs[0], Ledger(budget=plan.runs[0].budget))
    for energy_j in asked:
        display.teacher_asked(plan.runs[0], Cost(energy_j=energy_j))
    run = display.runs[plan.runs[0].run_id]
    assert run.energy_j is None, "no trial has said anything yet"
    feed(run, *trial(run.plan, 0))
    assert run.energy_j == (None if shown is None else pytest.approx(shown))


def test_the_accuracy_shown_is_that_of_the_chosen_checkpoint() -> None:
    run = view()
    chosen = {"checkpoint_epoch": 1, "checkpoint_val_score": 0.9}
    feed(run, started(run.plan, 0), report(run.plan, 0, 1, val_score=0.9), report(run.plan, 0, 2, **chosen))
    assert run.best == 0.9


def test_a_trial_that_goes_on_after_its_best_epoch_is_shown_with_what_it_chose_before() -> None:
    run = view()
    chosen = {"checkpoint_epoch": 4, "checkpoint_val_score": 0.9}
    feed(run, started(run.plan, 0), report(run.plan, 0, 9, val_score=0.5, **chosen))
    assert run.best == 0.9


def test_a_stopped_run_is_not_shown_as_done() -> None:
    run = view(budget="4trials")
    feed(run, *trial(run.plan, 0))
    run.status = "stopped"
    assert run.fraction == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "compare: 2 policies on digits, recipe track, at most 20 trials each"),
        ({"replicates": 3}, "compare: 2 policies × 3 replicates on digits, recipe track, at most 20 trials each"),
        ({"budget": "50Wh", "track": "budget"}, "compare: 2 policies on digits, budget track, at most 50.0 Wh each"),
    ],
)
def test_the_headline_says_what_is_compared(options: dict[str, Any], text: str) -> None:
    assert headline(study(**options)) == text


def test_elsewhere_than_on_a_terminal_the_display_is_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(choose_progress(quiet=False), LineProgress)
    assert type(choose_progress(quiet=True)) is NotesOnly


def resumed(progress: Progress, run: RunPlan) -> Ledger:
    """Start ``run`` on a display again: two of its trials have ended, the third was lost after its first epoch."""
    ledger = Ledger(budget=run.budget, max_trials=run.max_trials)
    before = (*trial(run, 0), *trial(run, 1), started(run, 2), report(run, 2, 1))
    for event in before:
        ledger(event)
    progress.run_started(run, ledger)
    progress.known(run, before)
    now: list[Event] = [started(run, 2, attempt=1), *(report(run, 2, epoch, attempt=1) for epoch in range(2, 31))]
    for event in now:
        ledger(event)
        progress.event(event)
    return ledger


def test_a_resumed_run_counts_the_trials_of_before(clock: Clock) -> None:
    output, plan = io.StringIO(), study()
    display = LineProgress(output, clock)
    display.study_started([plan], "runs")
    resumed(display, plan.runs[0])
    display.event(ended(plan.runs[0], 2, attempt=1))
    display.run_ended(plan.runs[0], "completed")
    lines = output.getvalue().splitlines()
    assert lines[1] == "grid r0: goes on after 3 trials; its time is shown from here on"
    # Two trials of 30 mWh, the lost attempt's 1 mWh, and 30 mWh of the attempt that went on.
    assert lines[-1] == "grid r0: completed, 3 trials, best val 80.0 %, 91.0 mWh, took 0.0 s since it went on"


def test_a_long_trial_says_a_line_an_epoch_and_a_short_one_none(clock: Clock) -> None:
    output, plan = io.StringIO(), study(["grid"], budget="4trials")
    run, display = plan.runs[0], LineProgress(output, clock)
    display.study_started([plan], "runs")
    play(display, run, [started(run, 0)])
    for epoch in (1, 2, 3):
        clock.now_s += 30
        display.event(report(run, 0, epoch))
    lines = output.getvalue().splitlines()[1:]
    assert lines[0] == "grid r0: trial 1 of 4, epoch 1 of 30, val 51.0 %, run: 59 min 30 s left"
    assert [line.split(", ")[1] for line in lines] == ["epoch 1 of 30", "epoch 2 of 30", "epoch 3 of 30"]
    for epoch in range(4, 30):
        clock.now_s += 0.4  # 10.4 s in all
        display.event(report(run, 0, epoch))
    assert len(output.getvalue().splitlines()) == 1 + 4


def test_a_trial_is_told_with_all_that_is_searched(clock: Clock) -> None:
    output, plan = io.StringIO(), study(["grid"], space="tau-alpha", budget="4trials")
    run, display = plan.runs[0], LineProgress(output, clock)
    display.study_started([plan], "runs")
    begun = replace(started(run, 0), params={"alpha": 0.5, "tau": 4.0})
    play(display, run, [begun, report(run, 0, 1), ended(run, 0)])
    assert "grid r0: trial 1 of 4, τ 4, α 0.5, 1 epoch, val " in output.getvalue()


def test_a_teacher_says_how_far_it_is_and_how_long_it_takes(
    clock: Clock, on_terminal: Callable[[int], RichProgress]
) -> None:
    output = io.StringIO()
    lines, table = LineProgress(output, clock), on_terminal(100)
    for epoch in range(1, 5):
        clock.now_s += 12
        for display in (lines, table):
            display.teacher_epoch("resnet18", 4, epoch)
        if epoch == 2:
            assert screen(table)[-1].endswith("training the teacher, resnet18, epoch 2 of 4, 24 s left")
    assert output.getvalue().splitlines() == [
        "training the teacher, resnet18, epoch 2 of 4, 24 s left",
        "training the teacher, resnet18, epoch 3 of 4, 12 s left",
    ]


def test_both_networks_are_said_with_their_parameters_once(scenario: Scenario, digits: ImageData) -> None:
    output, said = io.StringIO(), set[str]()
    for _ in range(2):
        show_networks(scenario, digits, LineProgress(output), said)
    [line] = output.getvalue().splitlines()
    # 99 + 22 + 495 + 10 + 60, and 288 + 64 + 18,432 + 128 + 57,054 + 2,230
    sizes = "teacher digits-teacher, 78,196 parameters · student digits-student, 686 parameters"
    assert line == f"{sizes}, 3 epochs a trial"


def test_a_run_that_begins_says_nothing_of_going_on(clock: Clock) -> None:
    output, plan = io.StringIO(), study()
    display = LineProgress(output, clock)
    display.study_started([plan], "runs")
    play(display, plan.runs[0], trial(plan.runs[0], 0))
    assert "goes on" not in output.getvalue()


def test_the_live_table_of_a_resumed_run_goes_on_where_it_was(
    on_terminal: Callable[[int], RichProgress], clock: Clock
) -> None:
    display, plan = on_terminal(100), study(["grid"], budget="4trials")
    display.study_started([plan], "runs")
    resumed(display, plan.runs[0])
    assert "2/4" in screen(display)[1]
    run = display.runs[plan.runs[0].run_id]
    assert (run.fraction_before, run.fraction) == (0.75, 0.75)
    display.event(ended(plan.runs[0], 2, attempt=1))
    assert "3/4" in screen(display)[1]


def test_time_left_follows_from_what_was_done_since_the_resumption() -> None:
    assert time_left_s(0.75, 10, before=0.5) == 10
    assert time_left_s(0.5, 10, before=0.5) is None
