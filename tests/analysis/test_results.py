"""The published results: the document is what its script makes of the published store, and its commands repeat it."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
from cli_records import sealed_store, study
from synthetic import Recipe, make_frames

from analysis.pages.markdown import claim, document
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd.cli.reference import all_commands
from tune_kd.config.scenario import load_scenario, scenario_names, to_record

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "published_results.py"))
HARDLY = {"grid": Recipe(trials=19, tau=True), "stochastic": Recipe()}


def records_of(**options: Any) -> Records:
    frames = make_frames(**options)
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


def claims(**options: Any) -> str:
    return claim(records_of(**options).outcomes)


@pytest.mark.skipif(not (DOCS / "results-store").is_dir(), reason="no store is published in docs/results-store")
def test_the_published_document_is_what_the_published_store_says() -> None:
    assert (DOCS / "results.md").read_text(encoding="utf-8") == SCRIPT["text"](DOCS / "results-store", DOCS)


@pytest.mark.skipif(not (DOCS / "results-store").is_dir(), reason="no store is published in docs/results-store")
def test_the_published_store_is_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "results-store").rglob("*")) < 5e6


def test_a_store_becomes_a_document_with_its_figures(tmp_path: Path) -> None:
    sealed_store(tmp_path / "store", study(["grid", "stochastic"], replicates=2), trials=1)
    SCRIPT["main"](tmp_path / "store", tmp_path)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert text == SCRIPT["text"](tmp_path / "store", tmp_path)
    pictures = [line[line.index("(") + 1 : -1] for line in text.splitlines() if line.startswith("![")]
    assert pictures == ["results/curves-0.svg", "results/pareto-0.svg", "results/tau-0.svg"]
    assert all((tmp_path / picture).is_file() for picture in pictures)
    order = [
        "# Results",
        "## Does a random τ for every batch match grid search?",
        "## What does one training buy?",
        "## How many times less does it cost than grid search?",
        "## In short",
        "**Ranking**",
        "**Costs**",
        "## What was measured",
        "## What this does not say",
    ]
    places = [text.find(words) for words in [*order, "## How to repeat it", "tune-kd compare"]]
    assert -1 not in places
    assert places == sorted(places)
    assert "**Screening: 2 of the 10 replicates it takes to conclude.**" in text


def test_enough_replicates_are_no_screening_and_a_counter_is_no_model() -> None:
    records = records_of(policies=HARDLY, replicates=10)
    records.trials["energy_method"] = "counter"
    text = document(records, commands={0: "tune-kd compare"})
    assert "creening" not in text
    assert "power model" not in text


def test_the_papers_claim_takes_equivalence_and_a_bound_below_it() -> None:
    for trial_j, held in ((3600.0, "is not shown here"), (3000.0, "holds here")):
        cheap = {**HARDLY, "stochastic": Recipe(trial_j=trial_j)}
        assert held in claims(policies=cheap, replicates=10, sigma=0.0005)
    worse = {**HARDLY, "stochastic": Recipe(trial_j=3000.0, shift=-0.02)}
    assert "is not shown here: stochastic is worse" in claims(policies=worse, replicates=10)
    assert claims(policies={"grid": Recipe(), "tpe": Recipe()}, replicates=2) == ""


def test_the_papers_claim_takes_all_joules_and_those_of_the_processors() -> None:
    outcomes = records_of(
        policies={**HARDLY, "stochastic": Recipe(trial_j=3000.0)}, replicates=10, sigma=0.0005
    ).outcomes
    assert "holds here" in claim(outcomes)
    drawn = outcomes["policy"] == "stochastic"
    for name in ("energy_j", "energy_processors_j"):
        dearer = outcomes.assign(**{name: outcomes[name].where(~drawn, 2 * outcomes[name])})
        assert "is not shown here" in claim(dearer)
        assert "by all joules and 0." in claim(dearer)


CHANGES: list[dict[str, Any]] = [
    {},
    {"recipe.epochs": 6, "train_limit": 400},
    {"recipe.epochs": 10, "recipe.milestones": [3, 5], "teacher": "wrn-40-1", "student": "wrn-16-1", "alpha": 0.5},
    {"loss": "ce", "recipe.nesterov": True, "checkpoint": "best"},
]


@pytest.mark.parametrize("settings", CHANGES)
@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_the_settings_of_a_command_make_the_scenario_again(name: str, settings: dict[str, Any]) -> None:
    assert name in scenario_names()
    scenario = load_scenario(name).changed(settings)
    again = load_scenario(name).changed(SCRIPT["changes"](scenario))
    ours, theirs = json.loads(to_record(again)), json.loads(to_record(scenario))
    assert ours | {"recipe_name": ""} == theirs | {"recipe_name": ""}


def test_the_command_that_repeats_a_comparison_plans_it_again() -> None:
    records = records_of(policies=HARDLY, replicates=3)
    scenario = to_record(load_scenario("digits").changed({"recipe.epochs": 6}))
    runs = records.runs.assign(scenario_json=scenario, budget_text="20trials", study_seed=7)
    words = shlex.split(SCRIPT["command"](runs))
    assert words[:2] == ["tune-kd", "compare"]
    given = all_commands()["compare"].make_context("compare", words[2:]).params
    assert (given["policies"], given["scenario"], given["budget"]) == (["grid,stochastic"], "digits", "20trials")
    assert (given["track"], given["replicates"], given["seed"]) == ("recipe", 3, 7)
    assert given["set"] == ["recipe.epochs=6"]
