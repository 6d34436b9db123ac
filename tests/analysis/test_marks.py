"""Each policy of the catalogue has a mark of its own everywhere, and in a crowded figure its name stands beside it."""

from __future__ import annotations

from itertools import combinations

import pandas as pd
import pytest
from matplotlib.text import Annotation, Text
from synthetic import Frames, Recipe, make_frames

from analysis.figures import charts, drawings, files
from analysis.figures.labels import Box, placed
from analysis.figures.marks import CATALOGUE, COLOURS, marks, marks_of
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from policies import POLICIES

AREA = Box(0, 0, 400, 200)


def records_of(frames: Frames) -> Records:
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


def of(*policies: str, trials: int = 1) -> Records:
    recipes = {
        name: Recipe(shift=0.001 * i, trials=trials, trial_j=3600.0 + 500 * i) for i, name in enumerate(policies)
    }
    return records_of(make_frames(policies=recipes, replicates=2))


def worn(marked: dict[str, dict[str, str]]) -> dict[str, tuple[str, str, str]]:
    return {label: (one["colour"], one["dash"], one["marker"]) for label, one in marked.items()}


def test_no_two_policies_of_the_catalogue_are_alike_as_lines_or_as_points() -> None:
    assert set(CATALOGUE) == set(POLICIES)
    marked = marks_of(of(*CATALOGUE))
    for kind in ("dash", "marker"):
        assert len({(one["colour"], one[kind]) for one in marked.values()}) == len(CATALOGUE)
    assert {marked[name]["colour"] for name in CATALOGUE[:8]} == {
        "currentColor" if colour == "#000000" else colour for colour in COLOURS
    }


def test_a_policy_keeps_its_mark_whatever_it_is_compared_with() -> None:
    whole = worn(marks_of(of(*POLICIES)))
    for some in (["meta-kd"], ["stochastic", "grid"], ["mine.py:Mine", "asha", "ctkd", "tpe"]):
        assert {label: one for label, one in worn(marks_of(of(*some))).items() if label in POLICIES} == {
            label: whole[label] for label in some if label in POLICIES
        }


def test_policies_of_a_users_own_and_further_options_are_marked_like_none_of_the_catalogue() -> None:
    own = [f"mine-{i}.py:Mine" for i in range(20)]
    variants = ["annealing:shape=cosine", "annealing:shape=linear", "gp:seed=1"]
    marked = marks_of(of(*own, "annealing", *variants))
    points = {label: (one["colour"], one["marker"]) for label, one in marked.items()}
    assert len(set(points.values())) == len(points)
    catalogue = worn(marks_of(of(*POLICIES)))
    assert worn(marked)["annealing"] == catalogue["annealing"]
    assert worn(marked)["gp:seed=1"] == catalogue["gp"]
    others = {worn(marked)[label] for label in (*own, *variants[:2])}
    assert not others & set(catalogue.values())


def test_things_that_are_no_policies_are_marked_differently_in_their_order() -> None:
    marked = marks([str(i) for i in range(48)])
    assert len({(one["colour"], one["marker"]) for one in marked.values()}) == 48
    assert len({(one["colour"], one["dash"]) for one in list(marked.values())[:32]}) == 32


# Names in figures


def test_names_cover_no_point_and_no_other_name() -> None:
    points = [(200.0 + 3 * i, 100.0 + 2 * i) for i in range(9)] + [(395.0, 50.0)]
    boxes = placed(points, [60.0] * 10, 8.0, AREA)
    assert None not in boxes
    found = [box for box in boxes if box is not None]
    assert not any(one.meets(other) for one, other in combinations(found, 2))
    assert not any(box.left < x < box.right and box.bottom < y < box.top for box in found for x, y in points)
    assert all(box.within(AREA) for box in found)
    assert found[9].right <= 395.0, "there is no room on its right"


def test_a_name_alone_stands_on_the_height_of_its_point_and_one_without_room_is_left_out() -> None:
    [box] = placed([(200.0, 100.0)], [60.0], 8.0, AREA)
    assert box is not None
    assert (box.bottom + box.top) / 2 == pytest.approx(100.0)
    assert box.left > 200.0
    assert placed([(200.0, 100.0)], [300.0], 8.0, AREA) == [None]
    crowd = placed([(200.0, 100.0)] * 40, [60.0] * 40, 8.0, AREA)
    assert 0 < sum(name is not None for name in crowd) < 40


@pytest.mark.parametrize("name", ["curves", "pareto"])
def test_a_figure_of_sixteen_policies_has_their_names_in_it_and_none_over_another(name: str) -> None:
    records = of(*CATALOGUE[:16], trials=2)
    with files.in_style():
        figure = drawings.named(records, name).figure()
        figure.draw_without_rendering()
    [ax] = figure.axes
    names = [text for text in ax.texts if isinstance(text, Annotation) and text.get_text()]
    assert {text.get_text() for text in names} <= set(CATALOGUE[:16])
    assert len(names) >= 14
    boxes = [Text.get_window_extent(text) for text in names]  # without the line to the point
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    area = ax.get_window_extent()
    assert all(area.x0 - 1 <= box.x0 and box.x1 <= area.x1 + 1 for box in boxes)


def test_a_figure_of_few_policies_has_none() -> None:
    [ax] = drawings.named(of(*CATALOGUE[:8], trials=2), "pareto").figure().axes
    assert list(ax.texts) == []


def test_charts_of_one_store_agree() -> None:
    one = make_frames(policies={name: Recipe(trials=2) for name in ("grid", "tpe")}, replicates=2)
    other = make_frames(policies={name: Recipe(trials=2) for name in ("dtkd", "grid")}, scenario="other", seed=1)
    records = records_of(Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(one, other, strict=True))))
    seen = set()
    for comparison in (0, 1):
        chart = charts.pareto_chart(records, comparison)
        assert chart is not None
        seen |= {(series["label"], series["colour"], series["marker"]) for series in chart["series"]}
    assert {label for label, *_ in seen} == {"grid", "tpe", "dtkd"}
    assert len(seen) == 3
