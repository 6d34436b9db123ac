"""Every command is a function with the same keywords and defaults, and the page about them is complete."""

from __future__ import annotations

import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tune_kd
from analysis.figures.drawings import KINDS
from tune_kd.api import stub
from tune_kd.cli.reference import all_commands
from tune_kd.planning.paper_catalogue import STUDIES
from tune_kd.planning.paper_options import PaperPlanning
from tune_kd.results.recorded import Recorded
from tune_kd.results.store import RecordedStore

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
COMMANDS = all_commands()
OF_PRINTING = {"help", "quiet", "json", "form", "text"}
PYTHON_ONLY = {"progress", "settings", "sources"}
GROUPS = ("store", "new", "cache")


def functions() -> dict[str, list[str]]:
    """By command, the names of its functions: the rows of the page's table."""
    rows = re.findall(r"^\| `tune-kd ([a-z ]+)` \| (.+?) \|", PAGE, re.MULTILINE)
    return {command: re.findall(r"`((?:tune_kd|Store)\.\w+)`", cell) for command, cell in rows}


def resolved(name: str) -> Callable[..., Any]:
    where, _, attribute = name.partition(".")
    found = getattr({"tune_kd": tune_kd, "Store": tune_kd.Store}[where], attribute)
    assert callable(found)
    return found


def test_every_command_has_a_function_that_the_page_names() -> None:
    assert set(functions()) == set(COMMANDS)
    for names in functions().values():
        assert names
        assert all(resolved(name).__doc__ for name in names)


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name.split()[0] not in GROUPS or name in ("cache ls", "cache rm")]
)
def test_every_option_is_a_keyword_of_the_function_with_the_same_default(name: str) -> None:
    keywords: dict[str, Any] = {}
    for function in reversed(functions()[name]):
        keywords |= inspect.signature(resolved(function)).parameters
    if name == "compare":
        keywords["extend"] = keywords.get("study")  # the study that --extend names is an argument of the function
    options = {option.name: option for option in COMMANDS[name].params if option.name not in OF_PRINTING}
    options.pop("plan_only", None)  # a function of its own
    assert set(options) <= set(keywords)
    assert {*keywords} - {*options} <= PYTHON_ONLY | {"extend", "study"}
    for option in options.values():
        given, expected = option.get_default(COMMANDS[name].make_context(name, [], resilient_parsing=True)), None
        if keywords[option.name].default is not inspect.Parameter.empty:
            expected = keywords[option.name].default
        assert given == expected, option.name


def test_a_study_is_planned_with_the_keywords_it_is_run_with() -> None:
    ran, planned = (inspect.signature(function).parameters for function in (tune_kd.study, tune_kd.plan_study))
    assert {name: (one.default, one.kind) for name, one in planned.items()} == {
        name: (ran[name].default, ran[name].kind) for name in planned
    }
    of_plan = {option.name for option in COMMANDS["study"].params} & {*inspect.signature(PaperPlanning).parameters}
    assert of_plan <= {*planned}


def test_a_planned_study_has_its_parts_and_a_short_repr(tmp_path: Path) -> None:
    plan = tune_kd.plan_study(
        "table1", scale="small", replicates=2, store=tmp_path / "runs", cache=tmp_path / "cache", set={"train_limit": 9}
    )
    assert len(plan.parts) == len(STUDIES["table1"].parts)
    assert plan.frame().groupby("part").ngroups == len(plan.parts)
    assert set(plan.frame().runs) == {2}
    assert plan.costs == {"duration_s": None, "energy_j": None, "co2e_g": None}
    trainings = int((plan.frame().runs * plan.frame().trials).sum())
    assert f"{trainings} trainings: —, —, —" in repr(plan)
    assert "train_limit" in repr(plan)
    assert all(len(repr(one)) < 200 and "\n" not in repr(one) for one in (plan, *plan.parts))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(tune_kd.InputError, match="unknown study"):
        tune_kd.plan_study("table99")


def test_the_names_of_the_package_are_shown_and_none_takes_the_place_of_pythons_own() -> None:
    public = {*tune_kd.__all__, "list"}
    assert public <= set(dir(tune_kd))
    assert all(getattr(tune_kd, name) is not None for name in public)
    assert [name for name in tune_kd.__all__ if hasattr(builtins, name)] == []
    assert [name for name in sorted(public - {"__version__"}) if not re.search(rf"`(tune_kd\.)?{name}\b", PAGE)] == []


@pytest.mark.parametrize("kind", [Recorded, RecordedStore])
def test_the_page_has_every_method(kind: type) -> None:
    own = [name for name in vars(kind) if not name.startswith("_")]
    assert [name for name in own if not re.search(rf"(`|Store\.){name}(\(|`)", PAGE)] == []


def test_the_page_has_every_figure() -> None:
    [section] = re.findall(r"## Figures\n(.+?)\n## ", PAGE, re.DOTALL)
    assert [kind for kind in KINDS if f"`{kind}`" not in section] == []


def blocks() -> Iterator[str]:
    for block in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL):
        if "compare(" not in block:
            yield block


def test_the_calls_of_the_page_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {"tune_kd": tune_kd}
    for block in blocks():
        exec(block, names)
    assert set(names["best"].index) == {"cifar10", "digits"}
    assert all(ax.has_data() for ax in names["both"].axes)


def test_the_signatures_for_type_checkers_are_current() -> None:
    assert (ROOT / "tune_kd" / "api" / "signatures.pyi").read_text(encoding="utf-8") == stub.stub()


PROGRAM = """
import pandas as pd
from matplotlib.figure import Figure

import tune_kd


def study(policies: list[str]) -> tune_kd.Outcome:
    return tune_kd.compare(policies, replicates=2, epochs=4, set={"recipe.lr": 0.05}, progress=True)


def costs(store: tune_kd.Store) -> pd.Series:
    return store.ranking(by="flops").set_index("label")["flops_executed"]


def main() -> None:
    outcome = study(["grid", "stochastic"])
    figure: Figure = outcome.figure("curves", width="page")
    figure.savefig("curves.pdf")
    try:
        print(costs(outcome.store), outcome.report("report.html").name, tune_kd.list("policies"))
    except tune_kd.InputError as error:
        print(error)
    print(tune_kd.plan(["grid"], budget="50Wh").costs["energy_j"], [check.mark for check in tune_kd.doctor()])
    print(tune_kd.report("runs", html="page.html").text("latex"), tune_kd.rerun("trial").differences)
"""
MISTAKES = {
    "tune_kd.run('fixed', replicats=2)": "replicats",
    "tune_kd.run('fixed', progress='yes')": "progress",
    "tune_kd.compare('grid', epochs='4')": "epochs",
    "tune_kd.open_store().rankng()": "rankng",
}


CONFIG = f"""
[mypy]
strict = true
follow_imports = silent
mypy_path = {ROOT}
[mypy-torch.*,torchvision.*,ray.*,IPython.*,scipy.*,sklearn.*,statsmodels.*,optuna.*,codecarbon.*,pyarrow.*,rich.*]
follow_imports = skip
ignore_missing_imports = true
[mypy-duckdb.*,psutil.*,scikit_posthocs.*,pynvml.*,threadpoolctl.*,torchao.*,onnxruntime.*,timm.*]
follow_imports = skip
ignore_missing_imports = true
"""


def mypy(folder: Path, program: str) -> str:
    """What mypy says of a program, in strict mode; of our own modules it says nothing."""
    (folder / "mypy.ini").write_text(CONFIG, encoding="utf-8")
    (folder / "program.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "program.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout + done.stderr


def test_a_users_program_has_types_and_mistakes_in_it_are_found(tmp_path: Path) -> None:
    assert "Success" in mypy(tmp_path, PROGRAM)
    said = mypy(tmp_path, PROGRAM + "\n" + "\n".join(MISTAKES) + "\n")
    assert all(f'"{word}"' in said for word in MISTAKES.values()), said
