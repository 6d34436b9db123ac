"""A real study whose cache is freed while it runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import tune_kd
from tune_kd.events import EpochReport, Event
from tune_kd.progress.base import Progress

pytestmark = pytest.mark.slow

SMALL = {
    "recipe.epochs": 2,
    "teacher_recipe.epochs": 1,
    "synthesis.images": 64,
    "synthesis.batch_size": 64,
    "synthesis.fast.steps": 2,
    "synthesis.fast.warmup": 1,
    "synthesis.fast.channels": 8,
}


class Freeing(Progress):
    """Removes all of the cache that can be removed, with the first report of a trial."""

    def __init__(self, cache: Path) -> None:
        self._cache, self.before = cache, pd.DataFrame()

    def event(self, event: Event) -> None:
        if isinstance(event, EpochReport) and self.before.empty:
            self.before = tune_kd.cache_ls(cache=self._cache)
            assert tune_kd.cache_rm(all=True, cache=self._cache).empty


def test_a_cache_that_is_freed_under_a_study_keeps_all_that_it_needs(ray_running, tmp_path):
    freeing, cache = Freeing(tmp_path / "cache"), tmp_path / "cache"
    plan = {"scenario": "digits-data-free", "budget": "2trials", "settings": SMALL, "synthesis": "fast"}
    store = tune_kd.run("grid", **plan, store=tmp_path / "runs", cache=cache, progress=freeing).store
    assert set(freeing.before.kind) == {"teachers", "checkpoints", "pools", "teacher_outputs"}
    assert freeing.before.in_use.all()
    assert (store.trials().status == "completed").all()
    assert store.trials().test_score.notna().all()
    left = tune_kd.cache_ls(cache=cache)
    assert set(left.kind) == {"teachers", "checkpoints", "pools", "durations"}
    assert not left.in_use.any()
