"""examples/first_study.ipynb runs in a Jupyter kernel, and shows its progress once and in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert.preprocessors import ExecutePreprocessor

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_study.ipynb"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each cell of code shows once the notebook has run, by the first line of the cell."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "TUNE_KD_CACHE"):
            patch.setenv(name, str(folder / name.lower()))
        patch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        assert "MPLBACKEND" not in os.environ
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        ExecutePreprocessor(timeout=500, kernel_name="python3").preprocess(
            notebook, {"metadata": {"path": str(folder)}}
        )
    return {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


@pytest.mark.slow
def test_progress_is_one_output_that_ends_as_the_study_does_and_nothing_else_is_printed(
    outputs: dict[str, list[Any]],
) -> None:
    [shown] = outputs["import tune_kd"]
    assert shown.output_type == "display_data"
    assert "4 of 4 runs" in shown.data["text/html"]
    assert shown.data["text/html"].count("digits: 10 classes") == 1
    assert [output for cell in outputs.values() for output in cell if output.output_type == "stream"] == []


@pytest.mark.slow
def test_an_outcome_shows_its_ranking_and_a_figure_its_picture(outputs: dict[str, list[Any]]) -> None:
    [outcome] = outputs["outcome"]
    assert "<table>" in outcome.data["text/html"]
    assert outcome.data["text/plain"].startswith("Outcome(compare of fixed, stochastic on digits: 4 runs completed")
    [figure] = outputs['outcome.figure("curves", by="flops")']
    assert {"image/png"} <= set(figure.data)
    assert "report.html" in outputs['outcome.report("report.html")'][0].data["text/plain"]
