"""A run that is under way, watched in a real browser: the page follows it to its end by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the playwright package")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]

ENTRY_POINT = str(Path(sys.executable).with_name("tune-kd"))
PATIENCE_MS = 240_000
RUN = ["--policy", "grid", "--budget", "3trials", "--train-limit", "400", "--epochs", "100", "--max-concurrent", "1"]


@contextmanager
def started(*command: str, folder: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "TUNE_KD_CACHE": str(cache)}
    process = subprocess.Popen(
        [ENTRY_POINT, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def test_the_page_follows_a_run_to_its_end(tmp_path: Path, cache: Path) -> None:
    complaints: list[str] = []
    run = ["run", *RUN, "--set", "teacher_recipe.epochs=2", "--store", "runs"]
    (tmp_path / "runs").mkdir()
    with started(*run, folder=tmp_path, cache=cache) as running, sync_api.sync_playwright() as playwright:
        assert running.stderr is not None
        while "training the teacher" not in running.stderr.readline():
            assert running.poll() is None  # the store is there, and no trial has begun
        with started("watch", "runs", "--port", "0", "--every", "0.5", folder=tmp_path, cache=cache) as watching:
            assert watching.stdout is not None
            [url] = re.findall(r"http://127\.0\.0\.1:\d+/", watching.stdout.readline())
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: complaints.append(message.text))
            page.goto(url)
            expect = sync_api.expect
            main = page.locator("main")
            going = re.compile(r"done by about.+Trials under way", re.DOTALL)
            expect(main).to_contain_text(going, timeout=PATIENCE_MS)
            expect(main.locator("svg.chart")).to_have_count(1)
            assert running.poll() is None, "the run went on while its trials were shown"
            expect(main.locator(".headline")).to_contain_text("1 of 1 run done", timeout=PATIENCE_MS)
            expect(main).to_contain_text("screening: 1 of the 10 replicates")
            expect(main).not_to_contain_text("Trials under way")
            expect(main.locator("td", has_text=re.compile(r"^τ \d+$")).first).to_be_visible()
            expect(page.locator("footer")).to_contain_text("as of")
            browser.close()
        assert running.wait(PATIENCE_MS / 1000) == 0
    assert complaints == []
