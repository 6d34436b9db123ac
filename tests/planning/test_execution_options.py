"""The command that goes on with a study: what was given is said again, wherever it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tune_kd.cli.app import app
from tune_kd.planning.execution_options import Execution


def accepted(command: str) -> dict[str, object]:
    """The options of a ``tune-kd resume``, as the command line reads them; fails where it has none of that name."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("tune-kd", "resume")
    return get_command(app).commands[name].make_context(name, words).params


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, ""),
        ({"data_root": "/my data", "max_concurrent": 1}, " --data-root '/my data' --max-concurrent 1"),
        ({"side_by_side": "auto", "gpus_per_trial": 0.5}, " --gpus-per-trial 0.5 --side-by-side auto"),
        ({"share_teacher": False, "train_teacher": True}, " --train-teacher --no-share-teacher"),
        ({"address": "10.0.0.1:6379", "country": "DEU"}, " --address 10.0.0.1:6379 --country DEU"),
        (
            {"cpu_watts": 95, "log_to": ["tensorboard:a b", "mlflow:http://x"]},
            " --cpu-watts 95 --log-to 'tensorboard:a b' --log-to mlflow:http://x",
        ),
    ],
)
def test_the_command_that_goes_on_has_every_option_that_was_given(
    given: dict[str, object], options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUNE_KD_CACHE", raising=False)
    command = Execution(**given).resumed_by("20260301-120000-1a2b", "/my runs")
    first, *rest = command.split(" --store '/my runs'")
    assert first == "tune-kd resume 20260301-120000-1a2b"
    assert sorted(shlex.split(rest[0])) == sorted(shlex.split(options))
    read = accepted(command)
    assert {name: read[name] for name in given} == given


def test_a_folder_of_data_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = Execution(data_root="data", cache="cache").resumed_by("id", "s3://bucket/runs")
    assert command == f"tune-kd resume id --store s3://bucket/runs --cache {tmp_path}/cache --data-root {tmp_path}/data"
