"""Figure 4 from the store alone: its numbers worked out by hand, its pictures against its numbers."""

from __future__ import annotations

import base64
import inspect
import io
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic import run, trial

from analysis import report
from analysis.explanation import cosines, enlarged, explanation_table, probabilities
from analysis.figures import explanation_plots
from analysis.figures.explanations import Explanation, explanations, teacher_of
from analysis.figures.files import save
from analysis.paper.figure_tables import fig4
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records
from tune_kd.cli.commands.explain import explain

LEFT, RIGHT, NOTHING = [[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]
BINS = [{"images": 0}, {"images": 6, "accuracy": 0.5, "confidence": 0.75}]
FINER = [[4.0, 4.0, 0.0, 0.0]] * 4  # the left half on a grid twice as fine, four times as strong


def png(value: int) -> str:
    file = io.BytesIO()
    Image.new("L", (4, 4), value).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def examples(*, pictures: bool = True) -> str:
    kept: dict[str, Any] = {"images": [7, 3], "labels": [0, 1], "classes": ["a cat", "<b>dog</b>", "owl"]}
    return json.dumps(kept | ({"png": [png(0), png(200)]} if pictures else {}))


def columns_of(logits: Any, maps: Any, ece: float, bins: Any = BINS) -> dict[str, Any]:
    return {
        "example_logits": logits,
        "example_maps": maps,
        "example_layer": None if maps is None else "features",
        "ece": ece,
        "reliability": bins,
        "confusion": [[2, 0, 0], [1, 1, 0], [0, 0, 0]],
    }


LOGITS = [[2.0, 0.0, -2.0], [0.0, 3.0, 0.0]]
TEACHER = columns_of([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0]], [FINER, FINER], 0.02)
SECOND = [{"images": 4, "accuracy": 0.25, "confidence": 0.25}, {"images": 2, "accuracy": 1.0, "confidence": 0.75}]


def records_of(*, teacher: dict[str, Any] | None = TEACHER, examples_json: str | None = examples()) -> Records:
    """Policy ``p`` with two replicates, ``q`` with one whose second map is all zero, ``r`` without any map."""
    taught = {"examples_json": examples_json, "teacher_id": "t", "teacher_test_score": 0.9}
    taught["teacher_test_metrics_json"] = None if teacher is None else json.dumps(teacher)
    rows = {
        ("p", 0): columns_of(LOGITS, [LEFT, RIGHT], 0.1),
        ("p", 1): columns_of(LOGITS, [RIGHT, RIGHT], 0.3, SECOND),
        ("q", 0): columns_of(LOGITS, [LEFT, NOTHING], 0.2),
        ("r", 0): columns_of(LOGITS, None, 0.2),
    }
    runs = pd.DataFrame([run(f"{name}{replicate}", name, replicate, **taught) for name, replicate in rows])
    scores = {("p", 0): 0.8, ("p", 1): 0.9, ("q", 0): 0.7, ("r", 0): 0.7}
    trials = pd.DataFrame([trial(f"{key[0]}{key[1]}", 0, 0.5, scores[key], **columns) for key, columns in rows.items()])
    nothing = pd.DataFrame()
    return Records(runs=runs, trials=trials, reports=nothing, nodes=nothing, outcomes=run_outcomes(runs, trials))


def explained(records: Records) -> Explanation:
    [found] = explanations(records).values()
    return found


def test_the_teacher_comes_first_and_each_policy_shows_its_first_replicate() -> None:
    found = explained(records_of())
    assert [one.label for one in found.networks] == ["teacher", "p", "q", "r"]
    assert [one.trial_id for one in found.networks] == [None, "p0-0000", "q0-0000", "r0-0000"]
    first = found.networks[1]
    assert first.logits is not None
    assert first.logits.tolist() == LOGITS
    assert first.maps is not None
    assert first.maps.tolist() == [LEFT, RIGHT]
    assert found.examples.names == ["test image 7", "test image 3"]


def test_the_table_has_the_mean_over_replicates_and_the_cosine_over_images() -> None:
    data = explanation_table(explained(records_of())).data.set_index("network")
    assert data.loc["p", ["score", "ece"]].tolist() == pytest.approx([0.85, 0.2])
    assert data.loc["p", ["score_spread", "ece_spread"]].tolist() == pytest.approx([np.sqrt(0.005), np.sqrt(0.02)])
    # Across the image the maps are 1, then a ramp to 0 from 1/4 to 3/4 and, of the finer grid, from 3/8 to 5/8; the
    # integrals of their squares are 5/12 and 11/24, that of their product 83/192.
    left, right = cosines(explained(records_of()).networks[1], explained(records_of()).networks[0])
    norm = np.sqrt(5 / 12 * 11 / 24)
    assert (left, right) == pytest.approx((83 / 192 / norm, (1 / 2 - 83 / 192) / norm), abs=1e-3)
    assert data.loc["p", "cosine"] == pytest.approx((left + right) / 2)
    assert data.loc["q", "cosine"] == pytest.approx(left), "a map that is zero has no direction"
    assert np.isnan(data.loc["r", "cosine"])
    assert np.isnan(data.loc["teacher", "cosine"])
    assert data["grid"].fillna("none").tolist() == ["4 × 4", "2 × 2", "2 × 2", "none"]


def test_a_map_is_alike_to_itself_whatever_its_strength() -> None:
    found = explained(records_of(teacher=columns_of(LOGITS, [np.multiply(3, LEFT).tolist(), RIGHT], 0.1)))
    assert cosines(found.networks[1], found.networks[0]) == pytest.approx([1, 1])


def test_bins_of_several_replicates_are_those_of_all_their_images() -> None:
    bins = explained(records_of()).networks[1].bins
    assert bins is not None
    assert bins.tolist() == [[4, 0.25, 0.25], [8, pytest.approx((6 * 0.5 + 2 * 1.0) / 8), 0.75]]


def test_probabilities_add_up_and_are_softer_at_a_higher_temperature() -> None:
    logits = np.array([[1000.0, 999.0, -1000.0]])
    sharp, soft = probabilities(logits), probabilities(logits, 1000.0)
    assert sharp.sum() == pytest.approx(1)
    assert sharp[0].tolist() == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0])
    assert soft.max() < sharp.max()


def test_without_a_teacher_that_kept_them_there_is_no_cosine_and_no_row_of_it() -> None:
    for records in (records_of(teacher=None), records_of(teacher={"kappa": 0.5})):
        found = explained(records)
        assert teacher_of(found) is None
        assert explanation_table(found).data["cosine"].isna().all()


def test_runs_without_example_images_have_nothing_to_explain() -> None:
    assert explanations(records_of(examples_json=None)) == {}
    assert "What the networks see" not in report.build(records_of(examples_json=None))


def test_the_command_and_the_page_soften_at_the_same_temperature() -> None:
    assert inspect.signature(explain).parameters["tau"].default == explanation_plots.TAU


def test_the_figures_have_the_numbers_of_the_store() -> None:
    found = explained(records_of())
    figures = dict(explanation_plots.figures(found, tau=2.0))
    assert set(figures) == {"logits", "probabilities", "grad-cam", "confusion", "reliability"}
    bars = [bar.get_height() for bar in figures["logits"].axes[2].patches]
    assert bars == pytest.approx([2, 0, -2]), "the second network's first image, minus its mean"
    probable = [bar.get_height() for bar in figures["probabilities"].axes[2].patches]
    assert probable == pytest.approx([*probabilities(np.array(LOGITS[0])), *probabilities(np.array(LOGITS[0]), 2.0)])
    assert [bar.get_height() for bar in figures["reliability"].axes[1].patches] == pytest.approx([0.25, 5 / 8])
    shares = figures["confusion"].axes[1].images[0].get_array()
    assert np.asarray(shares).tolist() == [[100, 0, 0], [50, 50, 0], [0, 0, 0]], "of both replicates"


def test_a_map_of_zeros_leaves_the_image_as_it_is_without_a_warning() -> None:
    picture = np.full((4, 4), 120, dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = explanation_plots.overlay(picture, np.zeros((2, 2)))
    assert set(drawn.ravel()) == {120}


def test_cells_are_drawn_as_they_are_and_smoothed_maps_are_bilinear() -> None:
    grid = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert sorted(set(enlarged(grid, 8, smooth=False).ravel())) == [0, 1]
    assert enlarged(grid, 4)[0].tolist() == pytest.approx([0, 0.25, 0.75, 1])


def test_of_many_classes_the_likeliest_are_drawn_and_the_true_one() -> None:
    logits = [list(map(float, range(40)))] * 2
    found = explained(records_of(teacher=columns_of(logits, None, 0.1)))
    networks = [one for one in found.networks if one.trial_id is None]
    shown = explanation_plots.shown_classes(Explanation(examples=found.examples, networks=networks), 0)
    assert shown == [0, *range(31, 40)]


def test_the_same_records_give_the_same_pictures(tmp_path: Path) -> None:
    found = explained(records_of())
    first, again = (
        save(lambda: explanation_plots.figures(found), tmp_path / name, ["png", "pdf"]) for name in ("a", "b")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


@pytest.mark.parametrize("pictures", [True, False])
def test_the_page_has_the_maps_and_escapes_what_is_a_users(pictures: bool) -> None:
    page = report.build(records_of(examples_json=examples(pictures=pictures)))
    assert page.count("data:image/jpeg;base64,") == 6, "two images of three networks with maps"
    assert "&lt;b&gt;dog" in page
    assert "<b>dog" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert ("Images of a user&#x27;s own are not in the store" in page) is not pictures


def test_figure_4_has_the_logits_of_one_image_beside_the_table() -> None:
    first, second = fig4(records_of())
    assert first.title == "What the networks see"
    assert second.title == "Fig 4a: logits of test image 3, <b>dog</b>", "the second: there is no third"
    assert second.data.set_index("network").loc["p"].tolist() == LOGITS[1]
