"""The page on the paper's claims: current, its arithmetic right, its commands real, and silent where nothing is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import Recipe, make_frames, run, trial

from analysis.pages import paper_costs, paper_records
from analysis.pages.paper import CLAIMS, main, page
from analysis.paper.claims import MARGIN_PP, alone, cohens_kappa, intensities, macro_specificity, pairs
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records, read
from tune_kd.cli import command_line
from tune_kd.config.scenario import load_scenario, to_record
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.store import open_store

DOCS = Path(__file__).parents[2] / "docs"
SAME = {"grid": Recipe(trials=19, tau=True), "stochastic": Recipe(trial_j=3000.0), "student": Recipe(shift=-0.02)}


def records_of(policies: dict[str, Recipe], **options: float) -> Records:
    frames = make_frames(policies=policies, replicates=10, sigma=0.0005, **options)  # type: ignore[arg-type]
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


def test_the_page_is_what_the_published_store_and_the_papers_numbers_say() -> None:
    text = page(read(open_store(DOCS / "results-store")))
    assert text == (DOCS / "paper.md").read_text("utf-8"), (
        "python -m analysis.pages.paper docs/results-store > docs/paper.md"
    )


@pytest.mark.parametrize("command", sorted({command for claim in CLAIMS for command in claim.commands}))
def test_every_command_plans_what_would_settle_its_claim(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *words = shlex.split(command)
    places = ["--store", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache")]
    assert program == "tune-kd"
    assert command_line([*words, "--plan-only", *places]) == 0
    assert "full scale, changed: replicates=10" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_every_claim_has_a_study_and_every_study_but_the_whole_of_table_4_is_in_some_claim() -> None:
    assert all(claim.studies for claim in CLAIMS)
    assert set(STUDIES) - {name for claim in CLAIMS for name in claim.studies} == {"table4"}


def test_a_folder_that_is_no_store_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_papers_differences_are_judged_within_the_margin_of_our_scenarios() -> None:
    for name in ("cifar10", "cifar100", "tiny-imagenet", "voc"):
        assert load_scenario(name).equivalence_margin == pytest.approx(MARGIN_PP / 100)


def test_differences_and_ratios_are_those_of_the_papers_rows() -> None:
    table = pairs(4).set_index(["dataset", "loss"])
    cmc = table.loc[("tiny-imagenet", "cmc")]
    assert (cmc["difference"], cmc["energy"]) == pytest.approx((59.84 - 62.76, 20.21 / 1.00))
    assert cmc["verdict"] == "worse"
    assert table.loc[("cifar10", "hkd"), "energy"] == pytest.approx(19.0)
    assert table.loc[("voc", "dml"), "gflops"] == pytest.approx(1371 / 72.17)
    assert pairs(6)["verdict"].isna().all(), "its tuned scores have no ±"
    first = alone().set_index("dataset").loc["cifar10"]
    assert (first["teacher"], first["student alone_kwh"]) == (95.04, 0.16)
    grams = intensities()
    assert len(grams) == 56
    assert grams["g_per_kwh"].iloc[0] == pytest.approx(74.25 / 0.28)


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_accuracy_decides_macro_specificity_and_kappa_where_classes_are_equally_large(classes: int, seed: int) -> None:
    rng, each = np.random.default_rng(seed), 30
    confusion = np.array([rng.multinomial(each, rng.dirichlet(np.ones(classes))) for _ in range(classes)])
    right, total = np.trace(confusion), confusion.sum()
    negatives, false = total - each, confusion.sum(axis=0) - np.diag(confusion)
    expected = (confusion.sum(axis=1) * confusion.sum(axis=0)).sum() / total**2
    assert macro_specificity(right / total, classes) == pytest.approx(np.mean(1 - false / negatives))
    assert cohens_kappa(right / total, classes) == pytest.approx((right / total - expected) / (1 - expected))


def test_equal_accuracy_at_less_than_a_nineteenth_holds_and_a_student_that_is_worse_alone_is_passed() -> None:
    records = records_of(SAME)
    assert "digits: equivalent" in paper_records.accuracy(records).short
    [row] = [line for line in paper_costs.cost(records).blocks[0].splitlines() if "| all joules |" in line]
    assert row.endswith("| yes |")
    assert any("holds here" in block for block in paper_costs.cost(records).blocks)
    assert "stochastic is better" in paper_records.students(records).short


def test_where_looks_were_planned_there_are_the_pairs_with_their_reference_at_the_level_of_the_look() -> None:
    frames = make_frames(policies=SAME, replicates=5, sigma=0.0005)
    looks = {"replicates": [5, 10], "levels": [0.02, 0.03], "reference": "grid"}
    frames.runs["looks_json"] = json.dumps(looks)
    records = Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))
    students = paper_records.students(records)
    assert students.short == ""
    [row] = [line for line in students.blocks[0].splitlines() if line.startswith("| digits")]
    assert "| grid | 5 |" in row
    assert "(98 %) | better |" in row
    assert ", n = 5)" in paper_records.accuracy(records).short, "a look that was planned is no screening"


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_a_curve_over_tau_is_told_from_noise(shift: float) -> None:
    records = records_of({"grid": SAME["grid"]})
    peak = records.trials["tau"] == 4
    records.trials.loc[peak, "test_score"] += shift
    [row] = paper_records.by_tau(records).blocks[0].splitlines()[2:]
    assert row.endswith("| differs by τ |" if shift else "| no difference is shown |")
    assert ("τ 4:" in row.split("|")[3]) or not shift


@pytest.mark.parametrize("settings", [{}, {"train_limit": 1000}, {"recipe.epochs": 99}, {"student": "wrn-16-1"}])
def test_the_page_says_that_nothing_is_at_full_scale_until_something_is(settings: dict[str, Any]) -> None:
    scenario = load_scenario("cifar10").changed(settings)
    of = {"scenario": "cifar10", "scenario_json": to_record(scenario)}
    runs = pd.DataFrame([run(f"{policy}-{i}", policy, i, **of) for policy in ("grid", "stochastic") for i in range(3)])
    trials = pd.DataFrame([trial(name, 0, 0.9, 0.9 + 0.001 * i) for i, name in enumerate(runs["run_id"])])
    nothing = pd.DataFrame()
    records = Records(runs=runs, trials=trials, reports=nothing, nodes=nothing, outcomes=run_outcomes(runs, trials))
    assert ("Nothing of it was trained at the paper's scale" in page(records)) == bool(settings)


def test_nothing_is_said_of_what_is_not_recorded() -> None:
    text = page(records_of({"student": Recipe()}))
    sections = text.split("### Our records\n\n")[1:]
    assert len(sections) == len(CLAIMS)
    assert all(section.startswith("Nothing is recorded.") for section in sections)
