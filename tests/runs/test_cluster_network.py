"""A node in a network of its own, without the driver's files, whose cable is pulled for a moment."""

from __future__ import annotations

import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tune_kd.store import open_store

pytestmark = pytest.mark.slow

CUT_S = 4.0  # Ray's health check takes about half a minute to give a node up
SETTINGS = ["--epochs", "6", "--set", "teacher_recipe.epochs=1", "--train-limit", "600", "--quiet"]


def ip(*words: str) -> bool:
    """Run `ip`; whether it worked."""
    return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0


@dataclass
class Link:
    """A network namespace, joined to this one by a pair of interfaces."""

    name: str
    here: str
    there: str

    def up(self) -> None:
        assert ip("link", "set", f"{self.name}h", "up")

    def down(self) -> None:
        assert ip("link", "set", f"{self.name}h", "down")


@pytest.fixture
def link() -> Iterator[Link]:
    name = f"tkd{secrets.token_hex(3)}"
    number = secrets.randbelow(250) + 1
    link = Link(name, f"10.213.{number}.1", f"10.213.{number}.2")
    if shutil.which("ip") is None or not ip("netns", "add", name):
        pytest.skip("needs the right to make network namespaces")
    try:
        assert ip("link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}n", "netns", name)
        assert ip("addr", "add", f"{link.here}/24", "dev", f"{name}h")
        assert ip("-n", name, "addr", "add", f"{link.there}/24", "dev", f"{name}n")
        assert ip("-n", name, "link", "set", f"{name}n", "up")
        assert ip("-n", name, "link", "set", "lo", "up")
        link.up()
        yield link
    finally:
        ip("netns", "del", name)


@pytest.fixture
def far_cluster(link: Link, cache: Path) -> Iterator[Any]:
    """A head here, without CPUs, and a node in the namespace, to which the driver's cache is an empty folder."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": link.here}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray = Path(sys.executable).with_name("ray")
    start = f"{ray} start --block --address={cluster.address} --node-ip-address={link.there} --num-cpus=1"
    hidden = f"mount -t tmpfs none {shlex.quote(str(cache))} && exec {start} --disable-usage-stats"
    node = subprocess.Popen(
        ["ip", "netns", "exec", link.name, "sh", "-c", hidden], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield cluster
    finally:
        link.up()
        for process in [*psutil.Process(node.pid).children(recursive=True), node]:
            process.kill()
        node.wait()
        cluster.shutdown()


def test_a_cut_that_heals_costs_time_and_checkpoints_reach_the_driver(
    far_cluster: Any, link: Link, cache: Path, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    command = ["run", "--policy", "grid", "--budget", "3trials", *SETTINGS, "--store", str(runs)]
    with subprocess.Popen(
        [Path(sys.executable).with_name("tune-kd"), *command, "--cache", str(cache), "--address", far_cluster.address],
        cwd=tmp_path,
    ) as driver:
        while driver.poll() is None and not list(runs.glob("trials/*.parquet")):
            time.sleep(0.05)
        link.down()
        time.sleep(CUT_S)
        link.up()
    assert driver.returncode == 0
    store = open_store(runs)
    trials, reports, nodes = store.trials(), store.reports(), store.nodes()
    assert (trials.status == "completed").sum() == 3
    assert not reports.duplicated(["trial_id", "epoch"]).any()
    assert len(reports) == 3 * 6
    assert trials[trials.status == "completed"].test_score.notna().all(), "examined from the driver's checkpoint"
    assert reports.node_id.nunique() == 1
    [kept] = (cache / "checkpoints" / store.runs().run_id.item()).glob("*.pt")
    assert kept.stat().st_size > 10_000
    assert nodes.set_index("node_id").meter_error.isna().all()
    assert store.verify() == []
