"""The report: one file that needs nothing, says what it stands on, and exists whatever the store holds."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from synthetic import Frames, Recipe, make_frames, run, trial

from analysis import report
from analysis.figures import charts
from analysis.pages import glossary
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records

ANALYSIS = Path(report.__file__).parent
TWO = {"grid": Recipe(trials=3, tau=True), "stochastic": Recipe()}
VOID = {"meta", "br", "link", "img", "input", "hr"}


def records_of(frames: Frames) -> Records:
    return Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes))


class Page(HTMLParser):
    """The text, the elements and the addresses of a page; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.charts: list[charts.Chart] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action", "data"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"] and data.startswith("{"):
            self.charts.append(json.loads(data))
        elif self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.words)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(report.build(records_of(make_frames(replicates=10))))


def test_the_page_asks_nothing_of_a_network(page: Page) -> None:
    assert page.addresses == ["#glossary"]
    text = report.build(records_of(make_frames(policies={"grid": Recipe()}, replicates=1)))
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|<link|<img", text)


def test_the_answer_comes_first_then_all_that_it_stands_on(page: Page) -> None:
    order = ["reaches grid's accuracy (equivalent within 0.3 pp", "Ranking", "Every pair", "What accuracy costs"]
    order += ["Accuracy over cost", "What a target costs", "Accuracy by τ", "Cost to the target"]
    order += [
        "How much the accounting decides",
        "Energy by component",
        "FLOPs by phase",
        "Time by phase",
        "Confusion matrices",
        "The paper's tables",
        "What was measured",
    ]
    order += ["Methods", "Versions and hardware", "How to cite"]
    places = [page.text.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    assert "screening" not in page.text.partition("Glossary")[0].replace("are screening, not a conclusion", "")


def test_curves_can_be_seen_over_every_currency_and_start_when_all_replicates_have_one(page: Page) -> None:
    curves = page.charts[0]
    assert list(curves["axes"]) == ["energy", "flops", "co2e", "time", "epochs", "energy with the teacher"]
    assert [series["label"] for series in curves["series"]] == ["grid", "random", "tpe", "annealing", "stochastic"]
    for series in curves["series"]:
        costs = [row[0] for row in series["rows"]["energy"]]
        assert costs == sorted(costs)
        assert all(row[2] <= row[1] <= row[3] for row in series["rows"]["energy"])
    # 19 trainings cost 19 Wh here, one costs 1.
    assert curves["series"][0]["rows"]["energy"][-1][0] == pytest.approx(19, rel=0.02)
    assert curves["series"][4]["ends"]["energy"][0] == pytest.approx(1, rel=0.03)
    # The teacher cost another 2 Wh.
    assert curves["series"][4]["ends"]["energy with the teacher"][0] == pytest.approx(3, rel=0.03)


@pytest.mark.parametrize("word", ["RMST", "ERT", "PAR-2", "screening", "margin", "incumbent", "verdict", "rank"])
def test_the_words_of_the_page_are_in_its_glossary(page: Page, word: str) -> None:
    assert word in page.text.split("Glossary")[0]
    assert f"<dt>{html.escape(word)}</dt>" in glossary.glossary_list()
    assert "#glossary" in page.addresses


def test_the_glossary_of_the_documents_is_that_of_the_page() -> None:
    assert (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8") == f"{glossary.page()}\n"


def test_fewer_than_ten_replicates_are_stamped() -> None:
    text = Page(report.build(records_of(make_frames(policies=TWO, replicates=9)))).text
    assert "screening: 9 of the 10 replicates" in text


def test_the_methods_speak_of_planned_looks_where_there_were_any() -> None:
    plain, looked = make_frames(policies=TWO, replicates=3), make_frames(policies=TWO, replicates=3)
    looks = {"replicates": [3, 6], "levels": [0.02, 0.03], "reference": "grid"}
    looked.runs["looks_json"] = json.dumps(looks)
    said = "A policy has the interval of the look at which its verdict fell"
    assert [said in Page(report.build(records_of(frames))).text for frames in (plain, looked)] == [False, True]


def test_two_scenarios_are_two_comparisons_and_a_mean_rank() -> None:
    parts = [make_frames(policies=TWO, replicates=2, scenario=name) for name in ("digits", "flowers")]
    frames = Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))
    text = Page(report.build(records_of(frames))).text
    assert "2 separate comparisons, never pooled" in text
    assert "Across scenarios" in text


def test_names_from_a_store_are_shown_not_run() -> None:
    frames = make_frames(policies={"<script>alert(1)</script>": Recipe(), "grid": Recipe()}, replicates=2)
    text = report.build(records_of(frames))
    assert "<script>alert" not in text
    assert "<script>alert(1)</script>" in Page(text).text


FAILED = [trial("a", 0, None, None, status="failed", energy_method=None, energy_j=None, epochs=0)]
POOR_STORES = {
    "no runs": ([], [], "The store holds no run yet."),
    "nothing started": ([run("a", "grid", status="planned")], [], "No result yet"),
    "only failures": ([run("a", "grid", status="failed")], FAILED, "No result yet"),
    "one policy": ([run("a", "grid")], [trial("a", 0, 0.9, 0.8)], "Only grid has results"),
    "one replicate": (
        [run("a", "grid"), run("b", "tpe")],
        [trial("a", 0, 0.9, 0.8), trial("b", 0, 0.9, 0.8)],
        "1 replicate cannot show what is chance",
    ),
    "no energy": (
        [run("a", "grid"), run("b", "tpe")],
        [trial("a", 0, 0.9, 0.8, energy_j=None), trial("b", 0, 0.9, 0.8, energy_j=None)],
        "its energy is not known",
    ),
    "no margin": (
        [run("a", "grid", equivalence_margin=None), run("b", "tpe", equivalence_margin=None)],
        [trial("a", 0, 0.9, 0.8), trial("b", 0, 0.9, 0.8)],
        "The data cannot tell yet",
    ),
}


@pytest.mark.parametrize(("runs", "trials", "words"), POOR_STORES.values(), ids=POOR_STORES.keys())
def test_a_poor_store_still_gives_a_report_that_says_so(
    runs: list[dict[str, object]], trials: list[dict[str, object]], words: str
) -> None:
    full = make_frames(policies={"grid": Recipe()}, replicates=1)
    runs_frame = pd.DataFrame(runs) if runs else full.runs.iloc[:0]
    frame = pd.DataFrame(trials) if trials else full.trials.iloc[:0]
    outcomes = run_outcomes(runs_frame, frame)
    records = Records(runs=runs_frame, trials=frame, reports=full.reports[:0], nodes=full.nodes[:0], outcomes=outcomes)
    assert words in Page(report.build(records)).text


def test_the_file_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    report.write(records_of(make_frames(policies={"grid": Recipe()}, replicates=1)), path)
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_a_matrix_of_many_classes_becomes_its_most_frequent_confusions() -> None:
    frames = make_frames(policies={"grid": Recipe()}, replicates=1)
    matrix: Any = [[90 if i == j else 7 if (i, j) == (3, 5) else 0 for j in range(30)] for i in range(30)]
    frames = frames._replace(trials=frames.trials.assign(confusion=[matrix]))
    assert "3 taken for 5" in Page(report.build(records_of(frames))).text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run the report's script")
def test_the_scripts_arithmetic_is_right() -> None:
    checks = """
    const { rowAt, ticks, scale, extent, path, band, placed } = require(process.argv[1]);
    const rows = [[1, 10, 9, 11], [4, 20, 18, 22]];
    const x = scale(1, 100, 0, 200, true), y = scale(0, 100, 100, 0, false);
    console.log(JSON.stringify({
      at: [0.5, 1, 3.9, 4, 9].map((cost) => rowAt(rows, cost)?.[1] ?? null),
      linear: ticks(0, 10, false), log: ticks(0.5, 30, true), wide: ticks(0.5, 1e5, true),
      middle: x(10), y: y(25), extent: extent([1, null, 3], false), none: extent([0, -1], true),
      steps: path(rows, (v) => v, (v) => v, true), line: path(rows, (v) => v, (v) => v, false),
      band: band(rows, (v) => v, (v) => v, true),
      names: placed([[100, 50], [102, 52], [395, 90]], [60, 60, 60], 10, [0, 0, 400, 200]),
      crowded: placed([[100, 50]], [500], 10, [0, 0, 400, 200]),
    }));"""
    command = ["node", "-e", checks, str(ANALYSIS / "pages" / "report.js")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["at"] == [None, 10, 10, 20, 20]
    assert found["linear"] == [0, 2, 4, 6, 8, 10]
    assert found["log"] == pytest.approx([0.5, 1, 2, 5, 10, 20])
    assert found["wide"] == pytest.approx([1, 10, 100, 1000, 10000, 100000])
    assert (found["middle"], found["y"]) == (pytest.approx(100), 75)
    assert found["extent"] == pytest.approx([0.88, 3.12])
    assert found["none"] is None
    assert found["steps"] == "M1.0 10.0H4.0V20.0"
    assert found["line"] == "M1.0 10.0L4.0 20.0"
    assert found["names"] == [[33, 45, 93, 55], [109, 47, 169, 57], [328, 85, 388, 95]]
    assert found["crowded"] == [None]
    assert found["band"] == "M1.0 11.0H4.0V22.0V18.0H4.0V9.0H1.0Z"
