"""Help, version, completion and the reference: light, complete and current."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.summary import ORDERS as SORTED_BY
from tune_kd import __version__
from tune_kd.cli import command_line
from tune_kd.cli.choices import ORDERS, TRACKS, scenario_presets, spaces
from tune_kd.cli.reference import all_commands, reference
from tune_kd.cli.study_options import Shown
from tune_kd.config.scenario import load_scenario, scenario_names
from tune_kd.errors import InputError
from tune_kd.meter.power_model import IDLE_SHARE, RAM_WATTS_PER_GIB
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.first_checks import TRACKS as PLANNED_TRACKS
from tune_kd.planning.looks import Deciding
from tune_kd.planning.plan_options import SHORT_FOR_SET, Planning

ENTRY_POINT = Path(sys.executable).with_name("tune-kd")
COMMANDS = all_commands()
HEAVY = (
    "torch",
    "ray",
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "optuna",
    "codecarbon",
    "tune_kd.planning.plan",
    "tune_kd.api.studies",
    "tune_kd.results.store",
)


def loaded_by(*arguments: str) -> list[str]:
    """Which heavy modules a command line loads, in a process of its own."""
    code = f"import json, sys; from tune_kd.cli import command_line; code = command_line({list(arguments)!r})"
    code += f"; print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, modules = json.loads(done.stderr.splitlines()[-1])
    assert exit_code == 0
    return list(modules)


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["store", "--help"], ["--version"], []])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(*arguments) == []


def test_the_entry_point_is_installed() -> None:
    done = subprocess.run([ENTRY_POINT, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tune-kd {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example_of_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert COMMANDS[name].help.splitlines()[0].split()[0] in shown
    assert f"tune-kd {name}" in COMMANDS[name].epilog
    assert "Example" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_and_what_it_takes(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name}: {parameter.name}"
        assert getattr(parameter, "is_flag", False) or parameter.metavar, f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_are_command_lines_that_parse(name: str) -> None:
    for line in COMMANDS[name].epilog.splitlines()[1:]:
        words, arguments = ["tune-kd", *name.split()], line.split()
        assert arguments[: len(words)] == words
        COMMANDS[name].make_context(name, arguments[len(words) :])


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line([]) == 0
    assert "compare" in capsys.readouterr().out


def test_help_in_a_pipe_has_no_colour_codes() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    done = subprocess.run([ENTRY_POINT, "run", "--help"], capture_output=True, text=True, check=True, env=environment)
    assert "\x1b" not in done.stdout


def test_run_and_compare_share_their_options_and_differ_in_what_they_run() -> None:
    run, compare = ([parameter.name for parameter in COMMANDS[name].params] for name in ("run", "compare"))
    assert [name for name in run if name not in compare] == ["policy"]
    assert [name for name in compare if name not in run] == ["policies", "extend", "force", *names(Deciding)]


def test_plan_takes_what_compare_settles_before_its_first_run() -> None:
    plan, compare = ({parameter.name for parameter in COMMANDS[name].params} for name in ("plan", "compare"))
    assert plan & compare >= {*names(Planning), *names(Deciding)} - {"settings"}


def test_resume_offers_what_can_change_and_nothing_that_was_planned() -> None:
    resume, run = ({parameter.name for parameter in COMMANDS[name].params} for name in ("resume", "run"))
    assert resume - {"help"} == {*names(Execution), *names(Shown), "run", "force"}
    assert run - resume == {*names(Planning), "policy"} - {"settings"}


def names(options: type) -> list[str]:
    return [field.name for field in dataclasses.fields(options)]


def test_what_the_command_line_repeats_to_load_nothing_heavy_is_as_in_the_library() -> None:
    assert TRACKS == PLANNED_TRACKS
    assert ORDERS == SORTED_BY


def test_short_options_are_set_as_fields_of_the_scenario() -> None:
    options = Planning(epochs=4, alpha=0.5, skip_bad_images=True, set=["recipe.lr=0.2"])
    scenario = load_scenario("digits").changed(options.fields())
    assert (scenario.recipe.epochs, scenario.alpha, scenario.skip_bad_images, scenario.recipe.lr) == (4, 0.5, True, 0.2)


@pytest.mark.parametrize("name", SHORT_FOR_SET)
def test_a_field_set_twice_is_refused(name: str) -> None:
    given: dict[str, Any] = {name: True}
    options = Planning(**given, set=[f"{SHORT_FOR_SET[name]}=1"])
    with pytest.raises(InputError, match=SHORT_FOR_SET[name]):
        options.fields()


def test_the_help_names_the_power_models_own_figures() -> None:
    shown = {parameter.name: str(parameter.show_default) for parameter in COMMANDS["run"].params}
    assert shown["idle_share"] == f"{IDLE_SHARE:g}"
    assert shown["ram_watts_per_gib"] == f"{RAM_WATTS_PER_GIB:g}"


def test_completion_offers_what_there_is() -> None:
    from search_spaces import SPACES

    assert scenario_presets() == scenario_names()
    assert spaces() == list(SPACES)


def test_a_shell_can_complete_an_option() -> None:
    environment = {
        **os.environ,
        "_TUNE_KD_COMPLETE": "complete_bash",
        "COMP_WORDS": "tune-kd run --space t",
        "COMP_CWORD": "3",
    }
    done = subprocess.run([ENTRY_POINT], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == ["tau", "tau-alpha", "tau-from-1"]


def test_the_reference_is_current() -> None:
    document = Path(__file__).parents[2] / "docs" / "commands.md"
    assert document.read_text(encoding="utf-8") == reference()


def test_the_reference_shows_a_default_of_zero() -> None:
    assert "| `--seed N` | What all seeds come from. | `0` |" in reference().splitlines()


def test_the_reference_has_every_command_and_every_option() -> None:
    text = reference()
    for name, command in COMMANDS.items():
        section = re.search(rf"^## tune-kd {name}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
        assert section is not None
        missing = [
            option
            for parameter in command.params
            if parameter.name != "help" and parameter.param_type_name == "option"
            for option in parameter.opts
            if option not in section[1]
        ]
        assert missing == []
