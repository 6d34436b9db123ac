"""The report's pictures of detections: whose they are, where the boxes are drawn, and what a store may not slip in."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from synthetic import run, trial

from analysis import report
from analysis.figures.detections import detections
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records

CAT, DOG = "a cat", "<b>dog</b>"


def jpeg() -> str:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


def recorded(**changes: Any) -> str:
    """Figures of a test with one image of 60×60 in which a cat is found and a difficult dog is not."""
    example = {
        "image": 7,
        "size": 60,
        "objects": [
            {"class": CAT, "box": [15, 30, 30, 45], "difficult": False},
            {"class": DOG, "box": [0, 0, 60, 6], "difficult": True},
        ],
        "detections": [{"class": CAT, "box": [15.5, 30, 30, 45], "score": 0.914}],
        **changes,
    }
    return json.dumps({"score_threshold": 0.5, "examples": [example]})


def records_of(*metrics: str | None) -> Records:
    """A run of a policy for each of ``metrics``, and a second replicate of the first without any."""
    runs = pd.DataFrame([*(run(f"r{place}", f"p{place}") for place in range(len(metrics))), run("again", "p0", 1)])
    rows = [trial(f"r{place}", 0, 0.5, 0.5, test_metrics_json=text) for place, text in enumerate(metrics)]
    trials = pd.DataFrame([*rows, trial("again", 0, 0.5, 0.5, test_metrics_json=None)])
    nothing = pd.DataFrame()
    return Records(runs=runs, trials=trials, reports=nothing, nodes=nothing, outcomes=run_outcomes(runs, trials))


def found_in(records: Records) -> dict[tuple[int, str], Any]:
    return dict(detections(records.outcomes, records.trials))


def test_each_policy_shows_what_the_incumbent_of_its_first_replicate_found() -> None:
    found = found_in(records_of(recorded(), recorded(image=8)))
    assert {label: (one.trial_id, one.examples[0]["image"]) for (_, label), one in found.items()} == {
        "p0": ("r0-0000", 7),
        "p1": ("r1-0000", 8),
    }


@pytest.mark.parametrize("metrics", [None, "{}", json.dumps({"score_threshold": 0.5, "examples": []})])
def test_a_test_that_recorded_no_examples_has_none_and_the_report_no_heading(metrics: str | None) -> None:
    records = records_of(metrics)
    assert found_in(records) == {}
    assert "Detections on test images" not in report.build(records)


def drawing(page: str) -> str:
    [svg] = re.findall(r'<svg viewBox="0 0 240 240".*?</svg>', page)
    return str(svg)


def test_a_box_is_drawn_where_it_is_in_the_image() -> None:
    svg = drawing(report.build(records_of(recorded(jpeg=jpeg()))))
    # 60 pixels are 240 units: a pixel is 4.
    assert '<rect class="there" x="60.0" y="120.0" width="60.0" height="60.0"/>' in svg
    assert '<rect class="found" x="62.0" y="120.0" width="58.0" height="60.0"/>' in svg
    assert '<rect class="there difficult" x="0.0" y="0.0" width="240.0" height="24.0"/>' in svg
    assert ">a cat 0.91</text>" in svg
    assert 'aria-label="test image 7: a cat, &lt;b&gt;dog&lt;/b&gt; there, a cat found"' in svg
    assert f'href="data:image/jpeg;base64,{jpeg()}"' in svg


def test_labels_stay_within_the_picture() -> None:
    corners = [[0, 0, 60, 60], [0, 0, 5, 5], [55, 55, 60, 60]]
    objects = [{"class": CAT, "box": box, "difficult": False} for box in corners]
    svg = drawing(report.build(records_of(recorded(objects=objects, detections=[{**objects[2], "score": 1.0}]))))
    places = re.findall(r'<text class="\w+" x="([\d.]+)" y="([\d.]+)"( text-anchor="end")?>', svg)
    assert len(places) == 4
    for x, y, end in places:
        assert 17 <= float(y) <= 240
        assert (float(x) > 120) == bool(end), "towards the middle"


@pytest.mark.parametrize("bad", [None, "", "not base64!", '"/><script>alert(1)</script>', "ä"])
def test_without_a_picture_the_boxes_are_drawn_alone_and_nothing_else_gets_in(bad: str | None) -> None:
    page = report.build(records_of(recorded(jpeg=bad)))
    assert "<image" not in page
    assert '<rect class="blank"' in drawing(page)
    assert "alert(1)" not in page
    assert "<b>dog" not in page


def test_the_page_may_show_pictures_that_it_holds_and_still_asks_nothing_of_a_network() -> None:
    page = report.build(records_of(recorded(jpeg=jpeg()), recorded(jpeg=jpeg())))
    assert "default-src 'none'; img-src data:;" in page
    addresses = re.findall(r'(?:href|src)="([^#"][^"]*)"', page)  # but for places on the page itself
    assert len(addresses) == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
