"""The report in a real browser: it opens from a file without a network, works under a finger, in the dark and small."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from synthetic import Frames, Recipe, make_frames

from analysis import report
from analysis.runs.outcomes import run_outcomes
from analysis.runs.reading import Records

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

MANY = {f"policy-{i}": Recipe(trials=3 if i % 3 else 1, tau=True, shift=0.001 * i) for i in range(18)}
WIDE, PHONE = {"width": 1100, "height": 800}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of two scenarios, one of which has 18 policies."""
    parts = [make_frames(replicates=3), make_frames(policies=MANY, replicates=2, scenario="flowers")]
    frames = Frames(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))
    path = tmp_path_factory.mktemp("page") / "report.html"
    report.write(Records(**frames._asdict(), outcomes=run_outcomes(frames.runs, frames.trials, frames.nodes)), path)
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: sync_api.Browser, address: str) -> Iterator[sync_api.Page]:
    """The report, opened; whatever its script complains of or asks a network for fails the test."""
    context = browser.new_context(viewport=WIDE)
    opened, complaints, asked = context.new_page(), [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    context.close()
    assert complaints == []
    assert asked == [address]


def paths(page: sync_api.Page) -> int:
    """How many lines, bands and markers the first chart has."""
    return page.locator("figure").first.locator("svg.chart path").count()


def test_every_chart_is_drawn(page: sync_api.Page) -> None:
    assert page.locator("figure").count() == page.locator("svg.chart").count() == 8
    assert page.get_by_text("nothing measured here").count() == 0


def test_what_is_under_the_pointer_is_told_and_forgotten(page: sync_api.Page) -> None:
    figure = page.locator("figure").first
    tip = figure.locator(".tip")
    assert not tip.is_visible()
    figure.locator("svg.chart").hover()
    said = tip.inner_text().splitlines()
    assert said[0].endswith("Wh")
    assert [line.split()[0] for line in said[1:]] == ["grid", "random", "tpe", "annealing", "stochastic"]
    assert "[" in said[1]
    page.mouse.move(1, 1)
    assert not tip.is_visible()


def test_a_policy_can_be_hidden_and_shown_again(page: sync_api.Page) -> None:
    button = page.locator("figure").first.get_by_role("button", name="tpe")
    before = paths(page)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert paths(page) < before
    button.click()
    assert (button.get_attribute("aria-pressed"), paths(page)) == ("true", before)


@pytest.mark.parametrize("currency", ["flops", "co2e", "time", "epochs"])
def test_the_axis_can_be_another_currency(page: sync_api.Page, currency: str) -> None:
    figure = page.locator("figure").first
    figure.get_by_label("axis").select_option(currency)
    assert figure.get_attribute("data-axis") == currency
    label = figure.locator("select option:checked").inner_text()
    assert figure.locator("svg.chart").get_by_text(label, exact=True).count() == 1


def test_what_is_folded_opens(page: sync_api.Page) -> None:
    folded = page.locator("details").first
    assert not folded.locator("table").is_visible()
    folded.locator("summary").click()
    assert folded.locator("table").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_it_can_be_read_on_a_screen_and_a_phone_by_day_and_by_night(
    page: sync_api.Page, tmp_path: Path, size: dict[str, int], scheme: str
) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    # Tables scroll by themselves, the page does not.
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for number in range(page.locator("figure").count()):
        chart = page.locator("svg.chart").nth(number).bounding_box()
        assert chart is not None
        assert 0 <= chart["x"] < chart["x"] + chart["width"] <= size["width"]
    picture = tmp_path / "page.png"
    page.screenshot(path=str(picture))
    with Image.open(picture) as image:
        shades = image.convert("L").histogram()
    paper = max(range(256), key=shades.__getitem__)
    assert (paper > 200) == (scheme == "light")
    # Letters and lines: a good part is neither paper nor nothing.
    assert sum(shades) * 0.01 < sum(shades) - shades[paper] < sum(shades) * 0.5
