"""A real run whose store is a bucket of a real S3 server."""

from __future__ import annotations

import logging
import os
import urllib.request
import warnings

import pytest

import tune_kd

pytestmark = pytest.mark.slow

SECRET = ("AWS_SECRET_ACCESS_KEY", "A_TOKEN")


@pytest.fixture
def bucket(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto's own imports
        moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a secret that no record may hold",
        "A_TOKEN": "another one, of no use to us",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")).close()
    yield "s3://bucket"
    server.stop()


def test_a_run_is_recorded_in_a_bucket(ray_running, cache, bucket, tmp_path):
    plan = {"budget": "2trials", "settings": {"recipe.epochs": 2, "teacher_recipe.epochs": 1}, "max_concurrent": 1}
    outcome = tune_kd.run("grid", store=f"{bucket}/runs", cache=cache, **plan)
    assert outcome.store.location == f"{bucket}/runs"
    elsewhere = tune_kd.open_store(f"{bucket}/runs", cache=tmp_path / "another machine")
    assert elsewhere.trials().status.tolist() == ["completed", "completed"]
    assert len(elsewhere.reports()) == 4
    assert elsewhere.runs().status.tolist() == ["completed"]
    assert elsewhere.nodes().energy_trials_j.notna().all()
    assert elsewhere.verify() == []
    assert not (tmp_path / "s3:").exists()
    told = "".join(path.read_text() for path in elsewhere.export(tmp_path / "exported"))
    assert [name for name in SECRET if os.environ[name] in told] == [], "no record holds what the environment does"
