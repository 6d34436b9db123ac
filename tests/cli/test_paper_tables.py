"""Every row of the paper's tables beside ours, in the tables that its studies print; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest
from synthetic import run, trial

from analysis.paper.numbers import PaperRow, paper_rows
from analysis.rendering.table import Table
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd.cli.shown.study_tables import tables_of
from tune_kd.config.scenario import to_record
from tune_kd.planning.paper_studies import plan_parts
from tune_kd.planning.plan import Study
from tune_kd.tasks.catalogue import task_of


def records_of(parts: Sequence[Study]) -> Records:
    """As if every run of a study had one trial, whose scores are 0.9."""
    runs, trials = [], []
    for plan in (plan for part in parts for plan in part.runs):
        scenario = plan.scenario
        teacher = {"teacher_id": f"{scenario.data} {scenario.teacher}", "teacher_test_score": 0.9}
        words = {"scenario": scenario.name, "scenario_json": to_record(scenario), "metric": task_of(scenario).metric}
        runs.append(run(plan.run_id, plan.label, plan.replicate, study_id=plan.study_id, **words, **teacher))
        trials.append(trial(plan.run_id, 0, 0.9, 0.9))
    frames, nothing = (pd.DataFrame(runs), pd.DataFrame(trials)), pd.DataFrame()
    return Records(runs=frames[0], trials=frames[1], reports=nothing, nodes=nothing, outcomes=run_outcomes(*frames))


def layouts(name: str, number: int, **planned: Any) -> list[Table]:
    """What a study prints in the layout of Table ``number``."""
    tables = tables_of(name, records_of(plan_parts(name, **planned)))
    return [table for table in tables if table.title.startswith(f"Table {number} layout")]


def stands_beside(theirs: PaperRow, ours: pd.Series) -> bool:
    """Is this row of ours the paper's, with all of its numbers?"""
    words = {"dataset": ours["dataset"], "method": ours["method"], "loss": ours["loss"].removesuffix("-tau")}
    words |= {"teacher": ours["teacher"], "student": ours["student"]}
    return all(getattr(theirs, name) in ("", word) for name, word in words.items()) and all(
        ours[f"paper_{name}"] == number for name, number in theirs.numbers.items()
    )


@pytest.mark.parametrize("number", sorted({row.table for row in paper_rows()}))
def test_every_row_of_a_table_of_the_paper_stands_beside_one_of_ours(number: int) -> None:
    tables = layouts(f"table{number}", number)
    ours = [row for table in tables for _, row in table.data.iterrows()]
    expected = [row for row in paper_rows() if row.table == number]
    assert [row for row in expected if not any(stands_beside(row, mine) for mine in ours)] == []
    assert all(mine["score"] == pytest.approx(90) for mine in ours)


def test_the_halves_of_table_4_have_its_rows_between_them() -> None:
    [whole], [images], [voc] = (layouts(name, 4) for name in ("table4", "table4-images", "table4-voc"))
    assert sorted(whole.rows) == sorted([*images.rows, *voc.rows])


@pytest.mark.parametrize("number", [1, 4, 5, 6, 7, 8])
def test_at_small_scale_a_table_has_as_many_rows_and_no_number_of_the_paper(number: int) -> None:
    full, small = (layouts(f"table{number}", number, scale=scale) for scale in ("full", "small"))
    assert [len(table.rows) for table in small] == [len(table.rows) for table in full]
    assert all(table.data["paper_score"].isna().all() for table in small)


def test_other_data_get_no_number_of_the_paper() -> None:
    [table] = layouts("table5", 5, sources={"cifar10": "digits"})
    assert set(table.data["dataset"]) == {"digits"}
    assert table.data["paper_score"].isna().all()
