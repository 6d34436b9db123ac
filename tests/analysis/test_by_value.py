"""The test score by τ and by α: what is averaged, where there is a figure of it, and what the report shows."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from synthetic import Frames, Recipe, make_frames, run, trial

from analysis import report
from analysis.figures import by_value, drawings
from analysis.figures.data import accuracy_by, comparisons_with_alpha
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd.errors import InputError

ALPHAS = (0.5, 0.65, 0.8, 0.95)


def records_of(frames: Frames) -> Records:
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


def searched(alphas: tuple[float, ...] = ALPHAS, replicates: int = 3) -> Records:
    """A grid over τ and α and a policy that moves τ, whose α is the scenario's."""
    policies = {"grid": Recipe(trials=19 * len(alphas), tau=True), "stochastic": Recipe()}
    frames = make_frames(policies=policies, replicates=replicates)
    trials = frames.trials
    of_grid = trials["tau"].notna()
    trials.loc[of_grid, "alpha"] = [alphas[index // 19] for index in trials.loc[of_grid, "index"]]
    return records_of(frames)


def test_score_by_alpha_averages_a_replicates_trials_first_and_leaves_out_moving_tau() -> None:
    runs = pd.DataFrame([run("a", "grid", 0), run("b", "grid", 1), run("c", "stochastic", 0)])
    frame = pd.DataFrame(
        [
            trial("a", 0, 0.9, 0.6, tau=4.0, alpha=0.5),
            trial("a", 1, 0.9, 0.8, tau=9.0, alpha=0.5),
            trial("a", 2, 0.9, 0.4, tau=9.0, alpha=0.8),
            trial("b", 0, 0.9, 0.9, tau=4.0, alpha=0.5),
            trial("b", 1, 0.9, None, tau=4.0, alpha=0.8, status="failed"),
            trial("c", 0, 0.9, 0.1, tau=None, alpha=0.5),
        ]
    )
    outcomes = run_outcomes(runs, frame)
    found = accuracy_by(outcomes, frame, "alpha")
    assert found["alpha"].tolist() == [0.5, 0.8]
    assert found["mean"].tolist() == pytest.approx([(0.7 + 0.9) / 2, 0.4])
    assert found["n"].tolist() == [2, 1]
    half = scipy.stats.t.ppf(0.975, 1) * np.std([0.7, 0.9], ddof=1) / np.sqrt(2)
    assert found.iloc[0][["low", "high"]].tolist() == pytest.approx([0.8 - half, 0.8 + half])
    by_both = accuracy_by(outcomes, frame, "tau", "alpha").set_index(["tau", "alpha"])["mean"]
    assert by_both.to_dict() == pytest.approx({(4.0, 0.5): 0.75, (9.0, 0.5): 0.8, (9.0, 0.8): 0.4})
    assert comparisons_with_alpha(outcomes, frame) == {0}


def test_where_alpha_was_searched_there_is_a_figure_of_it_and_tau_has_a_line_for_each() -> None:
    records = searched()
    by_tau, by_alpha = by_value.tau_chart(records, 0), by_value.alpha_chart(records, 0)
    assert by_tau is not None
    assert by_alpha is not None
    assert [series["label"] for series in by_tau["series"]] == ["α 0.5", "α 0.65", "α 0.8", "α 0.95"]
    assert all([row[0] for row in series["rows"]["tau"]] == [*range(2, 21)] for series in by_tau["series"])
    assert len({series["colour"] for series in by_tau["series"]}) == 4
    [series] = by_alpha["series"]
    grid = records.trials[records.trials["tau"].notna()]
    means = 100 * grid.groupby("alpha")["test_score"].mean()
    assert [row[:2] for row in series["rows"]["alpha"]] == [
        [alpha, pytest.approx(means[alpha], rel=1e-5)] for alpha in ALPHAS
    ]
    names = [name for name, _ in drawings.figures(records)]
    assert names.index("alpha-0") == names.index("tau-0") + 1
    [ax] = drawings.named(records, "alpha").figure().axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight of distillation α", "test accuracy, %")
    tau = drawings.named(records, "tau").figure()
    assert [text.get_text() for text in tau.legends[0].get_texts()] == ["α 0.5", "α 0.65", "α 0.8", "α 0.95"]


def test_where_alpha_is_the_scenarios_tau_has_one_line_and_alpha_no_figure() -> None:
    records = searched(alphas=(0.95,))
    chart = by_value.tau_chart(records, 0)
    assert chart is not None
    assert [series["label"] for series in chart["series"]] == ["constant τ"]
    assert by_value.alpha_chart(records, 0) is None
    with pytest.raises(InputError, match="there is no figure 'alpha': the records have no data for it"):
        drawings.named(records, "alpha")


def test_many_levels_of_alpha_make_one_line_over_tau() -> None:
    chart = by_value.tau_chart(searched(alphas=tuple(np.linspace(0.3, 0.9, 7))), 0)
    assert chart is not None
    assert [series["label"] for series in chart["series"]] == ["constant τ"]


def test_the_report_shows_alpha_where_it_was_searched() -> None:
    page = report.build(searched())
    charts = [
        json.loads(html.unescape(text)) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)
    ]
    assert "<h3>Accuracy by α</h3>" in page
    [shown] = [chart for chart in charts if chart["title"] == "Test accuracy by α"]
    assert shown == by_value.alpha_chart(searched(), 0)
    assert "by α</h3>" not in report.build(searched(alphas=(0.95,)))
