"""How a study is run, checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tune_kd.errors import InputError
from tune_kd.runner import Execution


def test_a_relative_cache_is_the_same_place_for_driver_and_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    execution = Execution(cache=Path("cache"))
    monkeypatch.chdir("/")
    assert execution.cache == tmp_path / "cache"


@pytest.mark.parametrize(
    ("option", "value"), [("cpus_per_trial", 0), ("gpus_per_trial", -1), ("max_concurrent", 0), ("max_failures", -1)]
)
def test_what_no_cluster_can_give_is_refused_by_the_options_name(option: str, value: float) -> None:
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')} must be ≥ .*got {value}"):
        Execution(**{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["s3://bucket/cache", "gs://bucket", "file:///tmp/cache"])
def test_a_cache_is_a_folder_and_no_url(url: str) -> None:
    with pytest.raises(InputError, match=r"--cache takes a folder, got .*:/.*; only --store may be a URL"):
        Execution(cache=Path(url))
