"""Logging to TensorBoard and MLflow through their own clients: what arrives there, and a study that needs neither."""

from __future__ import annotations

import inspect
import io
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_records import ended, play, report, started, study, trial
from cli_records import tested as examined

from tune_kd.config.log_to import LogTo
from tune_kd.errors import InputError
from tune_kd.planning.execution_options import Execution
from tune_kd.progress import logs
from tune_kd.progress.base import Progress
from tune_kd.progress.displays import LineProgress

PLAN = study(["grid"], budget="2trials")
RUN = PLAN.runs[0]
Scalars = dict[str, list[tuple[int, float]]]


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


def logged(place: str, said: io.StringIO, events: list[Any], status: str = "completed") -> None:
    """The events of a run, shown in ``said`` and logged to ``place``, to their end."""
    progress = logs.with_logs(LineProgress(said), [LogTo.parsed(place)])
    progress.study_started([PLAN], "runs")
    play(progress, RUN, events)
    progress.run_ended(RUN, status)
    progress.close()


# TensorBoard


def records(file: Path) -> Iterator[bytes]:
    """The records of an event file: length, checksum of it, data, checksum of these."""
    data = file.read_bytes()
    while data:
        [size] = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + size]
        data = data[16 + size :]


def scalars_in(folder: Path) -> Scalars:
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs tensorboardX")
    found: Scalars = {}
    for file in sorted(folder.glob("events.*")):
        for record in records(file):
            event = event_pb2.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_gets_every_epoch_and_the_test(tmp_path: Path, said: io.StringIO) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    logged(f"tensorboard:{tmp_path}/board", said, [*trial(RUN, 0, epochs=3), examined(RUN, 0)])
    found = scalars_in(tmp_path / "board" / RUN.run_id / "trial-0001")
    assert found["validation/accuracy"] == [(epoch, pytest.approx(0.5 + epoch / 100)) for epoch in (1, 2, 3)]
    assert found["cost/energy_j"] == [(epoch, pytest.approx(3.6 * epoch)) for epoch in (1, 2, 3)]
    assert found["test/accuracy"] == [(3, 0.75)]
    [hparams] = (tmp_path / "board" / RUN.run_id / "trial-0001" / "hparams").iterdir()
    assert hparams.is_file()
    assert "logging" not in said.getvalue()


def test_what_is_not_measured_is_not_logged(tmp_path: Path, said: io.StringIO) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    events = [started(RUN, 0), report(RUN, 0, 1, energy_j=None, val_loss=float("nan")), ended(RUN, 0)]
    logged(f"tensorboard:{tmp_path}", said, events)
    found = scalars_in(tmp_path / RUN.run_id / "trial-0001")
    assert "validation/accuracy" in found
    assert not {"cost/energy_j", "validation/loss"} & found.keys()


def test_a_resumed_trial_goes_on_in_its_folder(tmp_path: Path, said: io.StringIO) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    again = [started(RUN, 0, attempt=1), report(RUN, 0, 2, attempt=1), ended(RUN, 0, attempt=1)]
    logged(f"tensorboard:{tmp_path}", said, [started(RUN, 0), report(RUN, 0, 1), *again])
    steps = [step for step, _ in scalars_in(tmp_path / RUN.run_id / "trial-0001")["validation/accuracy"]]
    assert steps == [1, 2]


# MLflow


def test_mlflow_gets_runs_trials_and_epochs_once(
    tmp_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the package mlflow, or mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlflow").as_uri()
    for _ in range(2):  # the second time as a resumed run
        logged(
            f"mlflow:{uri}",
            said,
            [*trial(RUN, 0, epochs=3), examined(RUN, 0), started(RUN, 1), ended(RUN, 1, status="failed")],
        )
    assert "logging" not in said.getvalue()
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("tune-kd digits")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["grid r0", "trial 1", "trial 2"]
    assert runs["grid r0"].data.params["policy"] == "grid"
    assert {name: run.info.status for name, run in runs.items()} == {
        "grid r0": "FINISHED",
        "trial 1": "FINISHED",
        "trial 2": "FAILED",
    }
    assert runs["trial 1"].data.tags["mlflow.parentRunId"] == runs["grid r0"].info.run_id
    history = client.get_metric_history(runs["trial 1"].info.run_id, "validation/accuracy")
    assert {(metric.step, metric.value) for metric in history} == {(1, 0.51), (2, 0.52), (3, 0.53)}
    assert runs["trial 1"].data.metrics["test/accuracy"] == 0.75


# Neither


def test_a_client_that_fails_is_said_once_and_the_study_goes_on(tmp_path: Path, said: io.StringIO) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    (tmp_path / "file").touch()
    logged(f"tensorboard:{tmp_path}/file/board", said, [*trial(RUN, 0, epochs=2), *trial(RUN, 1, epochs=2)])
    lines = said.getvalue().splitlines()
    [failed] = [line for line in lines if "goes on without logging there" in line]
    assert failed.startswith(f"tensorboard:{tmp_path}/file/board: ")
    assert [line for line in lines if line.startswith("grid r0: completed, 2 trials")]


@pytest.mark.parametrize("name", [name for name in vars(Progress) if not name.startswith("_")])
def test_the_display_hears_all_that_it_would_hear_without_logs(name: str) -> None:
    heard = []

    class Display(Progress):
        def __getattribute__(self, asked: str) -> Any:
            return lambda *given: heard.append((asked, given))

    count = len(inspect.signature(getattr(Progress, name)).parameters) - 1
    getattr(logs.Together(Display(), []), name)(*range(count))
    assert heard == [(name, tuple(range(count)))]


def test_a_study_does_not_wait_for_a_slow_client(said: io.StringIO) -> None:
    answer, heard = threading.Event(), []

    class Slow(Progress):
        def event(self, event: Any) -> None:
            answer.wait()
            heard.append(event)

    aside = logs.Aside(Slow, "slow", said.write)
    events = list(trial(RUN, 0, epochs=5))
    play(logs.Together(LineProgress(said), [aside]), RUN, events)
    assert heard == []
    assert "trial 1 of 2" in said.getvalue()
    answer.set()
    aside.close()
    assert heard == events


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("tensorbord:x", "unknown place to log to 'tensorbord'; did you mean 'tensorboard'?"),
        ("mlflow", "--log-to mlflow needs a place, as in --log-to mlflow:URI, got 'mlflow'"),
        ("tensorboard:", "--log-to tensorboard needs a place, as in --log-to tensorboard:DIR"),
    ],
)
def test_a_place_that_is_none_is_refused(place: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        Execution(log_to=[place])
    assert text in str(refused.value)


def test_a_text_is_no_list_of_places() -> None:
    with pytest.raises(InputError, match="must be a list"):
        Execution(log_to="tensorboard:x")  # type: ignore[arg-type]


def test_a_file_is_no_folder_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give a folder"):
        Execution(log_to=[f"tensorboard:{tmp_path}/file"], cache=tmp_path / "cache").check()


@pytest.mark.parametrize("kind", ["tensorboard", "mlflow"])
def test_a_client_that_is_not_installed_is_told_in_a_line(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tune_kd.config.log_to.find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"needs the package \w+: pip install 'tune-kd\[{kind}\]'"):
        LogTo.parsed(f"{kind}:place").check()
