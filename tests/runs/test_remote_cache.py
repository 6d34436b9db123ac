"""Real runs whose checkpoints and teacher are in a bucket of a real S3 server."""

from __future__ import annotations

import shutil
import signal

import pytest
from s3_server import KEY_ID, SECRET

import tune_kd
from tune_kd import events
from tune_kd.errors import InputError, Interrupted
from tune_kd.history.rerun import rerun
from tune_kd.progress.base import Progress
from tune_kd.storage.cache import cache_at

pytestmark = pytest.mark.slow

EPOCHS = 4
PLAN = {"budget": "2trials", "settings": {"recipe.epochs": EPOCHS, "teacher_recipe.epochs": 1}, "max_concurrent": 1}


class Interrupter(Progress):
    """Ctrl-C at the n-th report."""

    def __init__(self, report: int) -> None:
        self._left = report

    def event(self, event: events.Event) -> None:
        self._left -= isinstance(event, events.EpochReport)
        if self._left == 0:
            self._left = -1
            signal.raise_signal(signal.SIGINT)


def test_a_run_goes_on_from_the_bucket_on_a_machine_that_has_nothing_else(ray_running, s3, tmp_path, monkeypatch):
    url, runs = s3.url("study/cache"), tmp_path / "runs"
    kept = cache_at(url).kept
    kept.place("checkpoints/another-run/t.pt").write(b"of somebody else")
    s3.requests.clear()

    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path / "first"))
    with pytest.raises(
        Interrupted, match=r"go on with: tune-kd resume \S+ --store \S+ --cache 's3://bucket/study/cache"
    ):
        tune_kd.run("grid", store=runs, cache=url, progress=Interrupter(2), **PLAN)
    begun = tune_kd.open_store(runs).reports()
    assert 2 <= begun.epoch.max() < EPOCHS, "a trial was left in its middle"
    here = {path.name for path in (tmp_path / "first").iterdir()}
    assert here == {"teacher_outputs", "durations"}, "the rest is in the bucket"
    shutil.rmtree(tmp_path / "first")
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path / "another machine"))
    store = tune_kd.resume(store=runs, cache=url, max_concurrent=1).store

    reports, left = store.reports(), begun.trial_id[0]
    assert sorted(reports.epoch[reports.trial_id == left]) == list(range(1, EPOCHS + 1))
    assert reports.attempt[reports.trial_id == left].nunique() == 2
    assert len(reports) == 2 * EPOCHS, "no epoch is reported twice"
    assert rerun(left, store=store, cache=url).differences == (), "as if it had been trained without a break"
    written = [request for request in s3.requests if request.startswith("PUT") and "/teachers/" in request]
    assert len(written) == 1, "the teacher is trained once, and found by resume and rerun"

    run_id = store.runs().run_id.item()
    best = (
        store.trials()
        .query("status == 'completed'")
        .sort_values(["val_score", "index"], ascending=[False, True])["index"]
        .iloc[0]
    )
    assert kept.names(f"checkpoints/{run_id}") == [f"{run_id}-{best:04d}.pt"], "only the incumbent's is kept"
    assert kept.names("checkpoints/another-run") == ["t.pt"]
    assert sorted(kept.names("")) == ["checkpoints", "teachers"]
    recorded = b"".join(path.read_bytes() for path in runs.rglob("*") if path.is_file())
    assert (SECRET.encode() in recorded, KEY_ID.encode() in recorded) == (False, False)


def test_a_node_that_may_not_use_the_bucket_is_refused_before_anything_is_trained(
    ray_running, s3, tmp_path, monkeypatch
):
    monkeypatch.setenv("TUNE_KD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the driver")
    s3.forbids = lambda request, signature: KEY_ID in signature
    with pytest.raises(InputError, match=r"^node \w{8} at \S+ cannot write \.checked-.*ACCESS_DENIED"):
        tune_kd.run("grid", store=tmp_path / "runs", cache=s3.url("refused"), **PLAN)
    s3.calm()
    assert cache_at(s3.url("refused")).kept.names("teachers") == []
