"""Every module is a script over a real store, and says what is wrong in one line."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import across, curves, explanation, ranking, sensitivity, tables, target
from analysis.command import Tables, main
from analysis.pages.costs_and_verdicts import costs_and_verdicts
from analysis.rendering.latex import escape, floats
from analysis.rendering.table import FORMATS, Table, number, render
from analysis.runs import accounting
from analysis.runs.reading import read
from tune_kd.api.names import ANALYSES
from tune_kd.cli import command_line
from tune_kd.cli.choices import CURRENCIES, DOCUMENTS
from tune_kd.events import Event, from_json
from tune_kd.store import create_store, open_store

TEX = next(filter(shutil.which, ("pdflatex", "tectonic")), "")
MODULES: dict[str, Tables] = {
    "across": across.tables,
    "curves": curves.tables,
    "explanation": explanation.tables,
    "ranking": ranking.tables,
    "sensitivity": sensitivity.tables,
    "tables": tables.tables,
    "target": target.tables,
}
START = datetime(2026, 1, 1, tzinfo=UTC)
SPENT = {
    **{"energy_j": 10.0, "energy_cpu_j": 9.0, "energy_gpu_j": None, "energy_ram_j": 1.0, "energy_idle_j": None},
    **{"energy_method": "model", "co2e_g": 0.1, "flops_executed": 100, "flops_teacher": 20, "flops_forward": 20},
    **{"flops_backward": 40, "flops_eval": 20, "flops_paper": 40, "flops_uncounted_ops": "", "duration_s": 2.0},
    **{"train_s": 1.0, "eval_s": 0.5, "teacher_s": 0.25, "other_s": 0.25, "peak_memory_bytes": 1, "co_tenants": 0},
}
EXAMPLES = '{"images": [4], "labels": [1], "classes": ["cat", "dog"]}'
SCORES = ("precision_macro", "recall_macro", "specificity_macro", "f1_macro", "kappa", "prevalence")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real store of two policies with two replicates, one trial each."""
    path = tmp_path_factory.mktemp("store") / "runs"
    made = create_store(path)
    for policy in ("grid", "stochastic"):
        for replicate in range(2):
            run_id = f"{policy}-{replicate}"
            what = {"run_id": run_id, "scenario": "digits", "policy": policy, "status": "completed", "space": "tau"}
            numbers = {"replicate": replicate, "equivalence_margin": 0.01, "started_at": START}
            texts = {"scenario_json": '{"loss": "hkd"}', "policy_json": "{}", "examples_json": EXAMPLES}
            made.write_run({**what, **numbers, **texts})
            key: dict[str, Any] = {"run_id": run_id, "trial_id": f"{run_id}-0000", "attempt": 0}
            with made.journal(**key) as journal:
                for event in events(key, 4.0 if policy == "grid" else None, 0.9 + 0.001 * replicate):
                    journal.append(event)
                made.seal(**key)
    return path


def events(key: dict[str, Any], tau: float | None, accuracy: float) -> list[Event]:
    """What the journal of one attempt of one epoch holds."""
    times = [START + timedelta(seconds=i) for i in range(4)]
    carbon = {"pue": 1.0, "carbon_g_per_kwh": 300.0, "carbon_source": "test"}
    learning = {"train_loss": 1.0, "val_loss": 1.0, "val_score": accuracy, "checkpoint_epoch": 1, "lr": 0.1}
    taus = {"tau_mean": tau, "tau_min": tau, "tau_max": tau}
    cost = {"inference_s": 0.1, "inference_energy_j": None, "inference_co2e_g": None, "energy_test_j": None}
    scores = {**dict.fromkeys(SCORES, 0.5), "confusion": [[9, 1], [1, 9]], "per_class": [], "test_score": accuracy}
    scores |= {"ece": 0.1, "reliability": [{"images": 20, "accuracy": 0.9, "confidence": 0.8}]}
    scores |= {"example_logits": [[0.0, 1.0]], "example_maps": None, "example_layer": None}
    fields: tuple[dict[str, Any], ...] = (
        {"event": "TrialStarted", "index": 0, "seed": 1, "params": {}, "tau": tau, "alpha": 0.95, **carbon},
        {"event": "EpochReport", "epoch": 1, "node_id": "n", **learning, **taus, **SPENT},
        {"event": "TrialEnded", "status": "completed", "error": None},
        {"event": "TrialTested", **scores, **cost},
    )
    made = (json.dumps({**part, **key, "at": at.isoformat()}) for part, at in zip(fields, times, strict=True))
    return [from_json(line) for line in made]


def test_every_analysis_can_be_asked_for_on_the_command_line() -> None:
    assert set(ANALYSES) == set(MODULES)
    assert set(DOCUMENTS) == set(FORMATS)
    assert list(CURRENCIES) == list(accounting.CURRENCIES)


@pytest.mark.parametrize("name", MODULES)
def test_analyse_says_what_the_script_says(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    options = [str(store), "--by", "flops", "--format", "csv"]
    assert main(MODULES[name], "A line.", options) == 0
    said = capsys.readouterr().out
    assert command_line(["analyse", name, *options]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rankin"], "unknown analysis 'rankin'; did you mean 'ranking'?"),
        (["ranking", "nowhere"], "nowhere"),
        (["ranking", "--by", "jules"], "unknown currency 'jules'"),
        (["ranking", "--format", "xls"], "unknown format 'xls'"),
    ],
)
def test_analyse_refuses_in_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["analyse", *arguments]) in (1, 2)
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_real_store_gives_outcomes(store: Path) -> None:
    outcomes = read(open_store(store), epochs=True).outcomes.set_index("run_id")
    assert outcomes["counted"].all()
    assert outcomes["comparison"].nunique() == 1
    assert outcomes["test_score"]["grid-1"] == 0.901
    assert (outcomes["energy_j"]["grid-1"], outcomes["flops_executed"]["grid-1"]) == (10.0, 100.0)


@pytest.mark.parametrize("form", ["md", "latex", "csv", "json"])
@pytest.mark.parametrize("name", MODULES)
def test_every_module_prints_every_form(store: Path, capsys: pytest.CaptureFixture[str], name: str, form: str) -> None:
    assert main(MODULES[name], "A line.", [str(store), "--by", "flops", "--format", form]) == 0
    text = capsys.readouterr().out
    if form == "json":
        assert len(json.loads(text)) >= 1
    elif form == "csv":
        assert len(pd.read_csv(io.StringIO(text.split("\n\n")[0]))) >= 1
    else:
        assert {"md": "| ---", "latex": r"\toprule"}[form] in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--by", "jules"], "unknown currency 'jules'"),
        (["--format", "xls"], "unknown format 'xls'"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(ranking.tables, "A line.", [str(store), *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_folder_that_is_no_store_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(ranking.tables, "A line.", [str(tmp_path)]) == 2
    assert "store" in capsys.readouterr().err


def test_latex_escapes_what_it_reserves() -> None:
    assert escape("a_b & 5 % ± 1 $ {x} \\") == r"a\_b \& 5 \% $\pm$ 1 \$ \{x\} \textbackslash{}"


NUMBERS = {None: "—", float("nan"): "—", float("inf"): "—", 0.0: "0", 0.05234: "0.0523", 19.04: "19.0"}
NUMBERS |= {123456.0: "123456", 1e9: "1.00e+09", -0.5: "-0.500"}


@pytest.mark.parametrize(("value", "text"), NUMBERS.items())
def test_numbers_are_readable(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="2 headers, but a row of 1"):
        Table(title="", headers=["a", "b"], rows=[["x"]], data=pd.DataFrame())


@pytest.mark.parametrize("name", MODULES)
def test_every_table_has_a_caption_for_a_paper_with_its_n_in_plain_words(store: Path, name: str) -> None:
    for table in MODULES[name](read(open_store(store), epochs=True), "energy"):
        if not table.rows:
            continue
        assert table.caption.endswith("."), table.title
        counts = table.data.loc[table.data.get("method", pd.Series("", table.data.index)) != "teacher"].get("n")
        if counts is None:
            assert re.search(r"n = \d+", table.caption), table.title
        else:
            fewest, most = int(counts.min()), int(counts.max())
            shown = f"n = {most} " if fewest == most else f"n = {fewest} to {most} "
            assert shown in table.caption, table.title
        assert latex_caption(table) in floats([table])[0]


def latex_caption(table: Table) -> str:
    return rf"\caption{{{escape(table.caption)}}}"


@pytest.mark.skipif(not TEX, reason="needs pdflatex (Debian's texlive-latex-recommended) or tectonic")
@pytest.mark.parametrize("layout", ["onecolumn", "twocolumn"])
def test_latex_tables_compile(store: Path, tmp_path: Path, layout: str) -> None:
    records = read(open_store(store), epochs=True)
    tables = [table for make in MODULES.values() for table in make(records, "energy")]
    bodies = "\n".join(floats([*tables, *costs_and_verdicts(records, (), "energy", False)]))
    labels = re.findall(r"\\label\{(.+?)\}", bodies)
    assert len(labels) == len(set(labels)) == len(tables) + 2
    head = rf"\documentclass[{layout}]{{article}}"
    head += r"\usepackage[utf8]{inputenc}\usepackage[T1]{fontenc}\usepackage{booktabs,graphicx}"
    (tmp_path / "all.tex").write_text(rf"{head}\begin{{document}}{bodies}\end{{document}}", encoding="utf-8")
    command = [TEX, "all.tex"] if TEX == "tectonic" else [TEX, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").read_bytes().startswith(b"%PDF")
    log = tmp_path / "all.log"
    said = log.read_text(errors="replace") if log.exists() else ""
    assert [word for word in ("Overfull", "multiply defined", "Float too large") if word in said] == []


def test_several_tables_stay_apart_in_every_form() -> None:
    one = Table(title="T", headers=["a"], rows=[["x"]], data=pd.DataFrame({"a": ["x"]}))
    assert json.loads(render([one, one], "json")) == [[{"a": "x"}], [{"a": "x"}]]
    assert render([one, one], "md").count("**T**") == 2
    assert render([one, one], "csv").splitlines() == ["a", "x", "x"]
    assert re.findall(r"label\{(.+?)\}", render([one, one], "latex")) == ["tab:t", "tab:t-no-2"]


def test_csv_has_one_header_where_tables_have_different_columns() -> None:
    one = Table(title="T", headers=["a"], rows=[["x"]], data=pd.DataFrame({"a": ["x"], "n": [3]}))
    other = Table(title="U", headers=["b"], rows=[["y"]], data=pd.DataFrame({"b": [0.5]}))
    assert render([one, other], "csv").splitlines() == ["table,a,n,b", "T,x,3,", "U,,,0.5"]


def test_the_terminal_ranking_loads_nothing_that_only_figures_and_tests_need() -> None:
    heavy = ("matplotlib", "statsmodels", "scikit_posthocs", "scipy.stats", "torch", "ray")
    code = "import sys, analysis.ranking, analysis.pages.headline; "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
