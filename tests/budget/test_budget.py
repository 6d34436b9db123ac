"""Budgets are read or refused; the ledger charges everything spent, once, and keeps the overshoot small."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_events import NOW, closed_account, ended, report, started

from tune_kd.budget.amount import UNITS, Budget, parse_budget
from tune_kd.budget.ledger import Ledger
from tune_kd.errors import InputError, RunFailed
from tune_kd.events import EpochReport, Event, TrialEnded, TrialTested
from tune_kd.formats import amount

# What a user types


@pytest.mark.parametrize(
    ("text", "currency", "limit"),
    [
        ("20trials", "trials", 20),
        ("1 trial", "trials", 1),
        ("400epochs", "epochs", 400),
        ("3e15flops", "flops", 3e15),
        ("2 PFLOPs", "flops", 2e15),
        ("0.05kWh", "joules", 180_000),
        ("50Wh", "joules", 180_000),
        ("1.5MJ", "joules", 1.5e6),
        ("700J", "joules", 700),
        ("15g", "gco2e", 15),
        ("0.2kg", "gco2e", 200),
        ("10min", "seconds", 600),
        ("1.5h", "seconds", 5400),
        (".5s", "seconds", 0.5),
        (" 20 trials ", "trials", 20),
        ("20trials-equivalent", "trials-equivalent", 20),
        ("72joules", "joules", 72),
        ("15 g CO2e", "gco2e", 15),
        ("900 mg CO2e", "gco2e", 0.9),
        ("2 min 05 s", "seconds", 125),
        ("1 h 02 min", "seconds", 3720),
        ("2h30min", "seconds", 9000),
    ],
)
def test_a_budget_is_a_number_and_its_unit(text: str, currency: str, limit: float) -> None:
    budget = parse_budget(text)
    assert budget.currency == currency
    assert budget.limit == pytest.approx(limit, rel=1e-15)


@given(limit=st.floats(1e-3, 1e9), unit=st.sampled_from(sorted(set(UNITS) - {"trial", "trials"})))
def test_every_unit_is_worth_what_its_currency_says(limit: float, unit: str) -> None:
    currency, worth = UNITS[unit]
    assert parse_budget(f"{limit!r}{unit}") == Budget(currency=currency, limit=limit * worth)


@given(limit=st.floats(1, 1e5), currency=st.sampled_from(["trials", "epochs", "flops", "joules", "gco2e", "seconds"]))
def test_what_tables_print_can_be_typed_as_a_budget(limit: float, currency: str) -> None:
    limit = float(round(limit))
    titled = parse_budget(f"{limit:g} {currency}")
    assert (titled.currency, titled.limit) == (currency, pytest.approx(limit, rel=1e-5))
    shown = parse_budget(amount(limit, currency))
    assert (shown.currency, shown.limit) == (currency, pytest.approx(limit, rel=0.05))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20trials 5epochs", ["'20trials 5epochs'", "several amounts"]),
        ("5g 5", ["'5g 5'", "unit is missing"]),
        ("20", ["'20'", "unit is missing"]),
        ("20trails", ["'20trails'", "'trails'", "unknown"]),
        ("trials", ["'trials'", "not a number"]),
        ("", ["''", "not a number"]),
        ("0trials", ["> 0 trials", "got 0"]),
        ("-1kWh", ["> 0 joules", "got -"]),
        ("0.0Wh", ["> 0 joules", "got 0"]),
        ("nantrials", ["'nantrials'"]),
        ("1e999J", ["joules", "inf"]),
        ("1,000J", ["'1,000J'"]),
        ("two trials", ["'two trials'"]),
    ],
)
def test_what_is_no_budget_is_refused_in_one_line_with_examples(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        parse_budget(text)
    line = str(refused.value)
    assert "\n" not in line
    assert [word for word in [*words, "20trials"] if word not in line] == []


def test_half_a_trial_is_refused() -> None:
    with pytest.raises(InputError, match=r"whole number, got 1\.5"):
        parse_budget("1.5trials")


def test_millijoules_are_not_read_as_megajoules() -> None:
    """Upper and lower case are a factor of a thousand million apart."""
    try:
        budget = parse_budget("5mJ")
    except InputError:
        return
    assert budget.limit == pytest.approx(0.005)


@given(st.text(max_size=12))
def test_any_text_is_a_budget_or_refused_in_one_line(text: str) -> None:
    try:
        limit, line = parse_budget(text).limit, ""
    except InputError as error:
        limit, line = 1.0, str(error)
    assert 0 < limit < math.inf
    assert len(line.splitlines()) <= 1


# The ledger, driven by an independent simulation of trials that run side by side

CURRENCIES = ("trials", "epochs", "flops", "joules", "gco2e", "seconds")


def ledger(currency: str, limit: float, max_trials: int | None = None) -> Ledger:
    return Ledger(budget=Budget(currency=currency, limit=limit), max_trials=max_trials)


@dataclass
class Running:
    """A trial on its worker, as the simulation knows it."""

    trial_id: str
    attempt: int = 0
    epoch: int = 0
    cost: float = 0.0  # of this attempt


@dataclass
class Simulation:
    """Workers that run trials of whole-number costs side by side, crash, repeat their results, and obey the ledger."""

    ledger: Ledger
    data: st.DataObject
    workers: int
    epochs: int
    events: list[Event] = field(default_factory=list)
    begun: int = 0
    spent: float = 0.0
    running: list[Running] = field(default_factory=list)
    in_flight: set[str] = field(default_factory=set)  # what was running when the limit was reached
    since: dict[str, int] = field(default_factory=dict)  # reports of each trial after that
    worst: float = 0.0  # the dearest epoch of all

    def run(self) -> None:
        while True:
            while len(self.running) < self.workers and self.ledger.may_start():
                assert not self.over, "a trial was started after the budget was spent"
                self.start()
            if not self.running:
                return
            self.advance(self.data.draw(st.sampled_from(self.running)))

    @property
    def over(self) -> bool:
        return self.spent >= self.ledger.budget.limit

    def start(self) -> None:
        trial = Running(f"trial-{self.begun}")
        self.begun += 1
        self.running.append(trial)
        if self.ledger.budget.currency == "trials":
            self.spent += 1
        self.ledger.reserve(trial.trial_id)
        self.publish(started(trial.trial_id, 0))

    def advance(self, trial: Running) -> None:
        """One more epoch of a trial, or its crash before that."""
        if trial.attempt < 2 and self.data.draw(st.integers(0, 9)) == 0:
            self.publish(ended(trial.trial_id, trial.attempt, "failed"))
            trial.attempt, trial.cost = trial.attempt + 1, 0.0
            self.publish(started(trial.trial_id, trial.attempt))
            return
        cost = self.data.draw(st.integers(1, 20))
        trial.epoch, trial.cost = trial.epoch + 1, trial.cost + cost
        before = self.over
        currency = self.ledger.budget.currency
        self.spent += {"trials": 0, "epochs": 1}.get(currency, cost)
        self.worst = max(self.worst, {"trials": 0, "epochs": 1}.get(currency, cost))
        if before:
            self.since[trial.trial_id] = self.since.get(trial.trial_id, 0) + 1
        elif self.over:
            self.in_flight = {other.trial_id for other in self.running if other is not trial}
        self.publish(report(trial.trial_id, trial.attempt, trial.epoch, trial.cost))
        must_stop = self.ledger.must_stop(trial.trial_id, trial.attempt)
        if must_stop or trial.epoch == self.epochs:
            self.running.remove(trial)
            self.publish(ended(trial.trial_id, trial.attempt, "stopped" if must_stop else "completed"))

    def publish(self, event: Event) -> None:
        for _ in range(self.data.draw(st.integers(1, 2))):  # Tune calls the stopper again for a repeated result
            self.ledger(event)
        self.events.append(event)


@pytest.mark.parametrize("currency", [currency for currency in CURRENCIES if currency != "trials"])
@settings(max_examples=40)
@given(data=st.data(), workers=st.integers(1, 4), epochs=st.integers(1, 5), limit=st.integers(1, 60))
def test_everything_is_charged_once_and_the_overshoot_is_an_epoch_a_running_trial(
    currency: str, data: st.DataObject, workers: int, epochs: int, limit: int
) -> None:
    books = ledger(currency, limit)
    simulation = Simulation(ledger=books, data=data, workers=workers, epochs=epochs)
    simulation.run()
    assert books.spent == simulation.spent >= limit
    assert books.overshoot == simulation.spent - limit
    # After the limit was reached nothing but the epochs in flight came in: one a trial.
    assert simulation.since.keys() <= simulation.in_flight
    assert all(count == 1 for count in simulation.since.values())
    assert books.overshoot <= workers * simulation.worst


@settings(max_examples=30)
@given(data=st.data(), workers=st.integers(1, 4), epochs=st.integers(1, 5), limit=st.integers(1, 8))
def test_a_budget_in_trials_is_spent_to_the_last_and_lets_each_one_end(
    data: st.DataObject, workers: int, epochs: int, limit: int
) -> None:
    books = ledger("trials", limit)
    simulation = Simulation(ledger=books, data=data, workers=workers, epochs=epochs)
    simulation.run()
    assert books.spent == simulation.begun == limit
    assert books.overshoot == 0
    ends = [event.status for event in simulation.events if isinstance(event, TrialEnded)]
    assert ends.count("completed") == limit
    assert set(ends) <= {"completed", "failed"}


@pytest.mark.parametrize("currency", CURRENCIES)
@settings(max_examples=20)
@given(data=st.data(), max_trials=st.integers(1, 5))
def test_the_recipe_caps_the_trials_whatever_the_budget(currency: str, data: st.DataObject, max_trials: int) -> None:
    books = ledger(currency, 1e6, max_trials)
    simulation = Simulation(ledger=books, data=data, workers=3, epochs=3)
    simulation.run()
    assert simulation.begun == max_trials
    assert {event.status for event in simulation.events if isinstance(event, TrialEnded)} <= {"completed", "failed"}


@settings(max_examples=30)
@given(data=st.data(), currency=st.sampled_from(CURRENCIES))
def test_a_ledger_that_is_fed_a_journal_knows_what_the_first_one_knew(data: st.DataObject, currency: str) -> None:
    """So a run that goes on from its store has the budget that was left."""
    limit = 6 if currency == "trials" else 40
    first = ledger(currency, limit)
    simulation = Simulation(ledger=first, data=data, workers=3, epochs=4)
    simulation.run()
    again = ledger(currency, limit)
    for event in simulation.events:
        again(event)
    assert again.spent == first.spent
    assert again.may_start() == first.may_start()


def test_trials_count_when_they_are_suggested_and_retries_are_free() -> None:
    books = ledger("trials", 2)
    books.reserve("a")
    assert books.spent == 1
    for attempt in range(3):
        books(started("a", attempt))
        books(report("a", attempt, 1, 5))
        books(ended("a", attempt, "failed"))
    assert books.spent == 1
    assert books.may_start()
    books.reserve("b")
    assert books.spent == 2
    assert not books.may_start()
    assert not books.must_stop("a", 2)  # a trial that has started may end
    assert books.overshoot == 0


@pytest.mark.parametrize("currency", ["flops", "joules", "gco2e", "seconds"])
def test_retries_are_charged_in_every_currency_but_trials(currency: str) -> None:
    books = ledger(currency, 100)
    books(report("a", 0, 1, 10))
    books(report("a", 0, 2, 20))
    books(ended("a", 0, "failed"))
    books(report("a", 1, 3, 7))  # goes on from its checkpoint; its costs start again
    assert books.spent == 27


def test_a_retry_is_charged_for_the_epochs_that_it_repeats() -> None:
    books = ledger("epochs", 100)
    books(report("a", 0, 1, 1))
    books(report("a", 0, 2, 2))
    books(report("a", 1, 2, 1))
    books(report("a", 1, 3, 2))
    assert books.spent == 4


def test_a_trial_stops_when_less_than_its_own_mean_epoch_is_left() -> None:
    books = ledger("joules", 100)
    books(report("cheap", 0, 1, 10))
    books(report("dear", 0, 1, 30))
    books(report("dear", 0, 2, 60))  # 30 an epoch; 30 are left
    assert not books.must_stop("dear", 0)
    books(report("cheap", 0, 2, 20))  # 20 are left
    assert books.must_stop("dear", 0)
    assert not books.must_stop("cheap", 0)  # 10 an epoch
    assert books.spent == 80
    assert books.overshoot == 0


def test_a_trial_that_has_not_reported_stops_only_when_all_is_spent() -> None:
    books = ledger("joules", 100)
    books(report("a", 0, 1, 99))
    assert not books.must_stop("new", 0)
    assert books.may_start()
    books(report("a", 0, 2, 100))
    assert books.must_stop("new", 0)
    assert not books.may_start()


def test_a_budget_in_what_nobody_measures_ends_the_run_instead_of_never_ending() -> None:
    books = ledger("joules", 100)
    with pytest.raises(RunFailed, match=r"joules.*nothing measured.*a spent"):
        books(report("a", 0, 1, None))


@pytest.mark.parametrize(
    ("currency", "spent"),
    [
        ("flops", lambda report: report.flops_executed),
        ("joules", lambda report: report.energy_j),
        ("gco2e", lambda report: report.co2e_g),
        ("seconds", lambda report: report.duration_s),
    ],
)
def test_each_currency_has_its_own_column(currency: str, spent: Callable[[EpochReport], float]) -> None:
    each = replace(report("a", 0, 1, 1), flops_executed=2, energy_j=3.0, co2e_g=5.0, duration_s=7.0)
    books = ledger(currency, 100)
    books(each)
    assert books.spent == spent(each)


@pytest.mark.parametrize(("currency", "spent"), [("joules", 25), ("gco2e", 25), ("flops", 20), ("epochs", 2)])
def test_energy_is_charged_to_the_end_of_an_attempt_once(currency: str, spent: float) -> None:
    books = ledger(currency, 100)
    books(report("a", 0, 1, 10))
    books(report("a", 0, 2, 20))
    for _ in range(2):
        books(closed_account("a", 0, 25))
    assert books.spent == spent


def test_an_attempt_that_died_before_its_first_report_is_charged_too() -> None:
    books = ledger("joules", 100)
    books(started("a", 0))
    books(closed_account("a", 0, 7))
    books(started("a", 1))
    books(report("a", 1, 1, 10))
    books(closed_account("a", 1, None))  # nobody measured the rest: what was reported stays charged
    assert books.spent == 17


def test_the_test_evaluation_is_not_charged() -> None:
    books = ledger("joules", 100)
    books(report("a", 0, 1, 10))
    books(
        TrialTested(
            run_id="run",
            trial_id="a",
            attempt=0,
            at=NOW,
            test_score=0.5,
            precision_macro=0.5,
            recall_macro=0.5,
            specificity_macro=0.5,
            f1_macro=0.5,
            kappa=0.0,
            prevalence=0.5,
            confusion=[[1]],
            per_class=[],
            inference_s=1.0,
            inference_energy_j=50.0,
            inference_co2e_g=50.0,
            energy_test_j=50.0,
        )
    )
    assert books.spent == 10
