"""The data of a study: what is said while they are read, or got."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from tune_kd.errors import InputError, RunFailed
from tune_kd.execution.inputs import read_data
from tune_kd.planning.execution_options import Execution
from tune_kd.planning.plan import plan_study
from tune_kd.progress.base import Progress


class Listening(Progress):
    """Keeps what is being prepared."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, text: str) -> None:
        self.stages.append(text)


@pytest.fixture
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download goes to a port where nobody listens."""
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use, for all tests after


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize("name", ["cifar10", "voc"])
def test_data_with_a_name_that_are_not_here_are_said_to_be_downloaded(name: str, tmp_path: Path) -> None:
    heard, root = Listening(), tmp_path / "root"
    study = plan_study(policies=["fixed"], scenario=name)
    with pytest.raises(RunFailed, match=rf"{name} is not in .*root and cannot be downloaded .* give --data-root DIR"):
        read_data(study, Execution(cache=str(tmp_path), data_root=str(root)), heard)
    assert heard.stages == [f"downloading {name} into {root}"]


def test_a_copy_of_voc_that_is_not_whole_is_read_and_refused_and_not_downloaded(tmp_path: Path) -> None:
    heard, root = Listening(), tmp_path / "root"
    (root / "VOCdevkit").mkdir(parents=True)
    study = plan_study(policies=["fixed"], scenario="voc")
    with pytest.raises(InputError, match=r"trainval.txt is missing .* remove .*VOCdevkit to have voc downloaded again"):
        read_data(study, Execution(cache=str(tmp_path), data_root=str(root)), heard)
    assert heard.stages == ["reading the data"]
