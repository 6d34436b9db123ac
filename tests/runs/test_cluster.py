"""Several real Ray nodes on one computer, and what happens to them while a study runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from packages_copy import copy_packages

from tune_kd.events import EpochReport
from tune_kd.store import open_store
from tune_kd.store.files import names
from tune_kd.store.writing.journal import read_events

pytestmark = pytest.mark.slow

EPOCHS, TRIALS = 8, 6
COMMAND = ["run", "--policy", "grid", "--budget", f"{TRIALS}trials", "--epochs", str(EPOCHS)]
SETTINGS = ["--set", "teacher_recipe.epochs=1", "--train-limit", "600", "--max-failures", "4", "--cpu-watts", "20"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs; tests add nodes of one CPU each."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield found
    found.shutdown()


class Driver:
    """A `tune-kd` of its own, and the lines that it has printed."""

    def __init__(self, *words: object, cwd: Path) -> None:
        command = Path(sys.executable).with_name("tune-kd")
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [command, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def __str__(self) -> str:
        return "\n".join(self.lines)

    def until(self, pattern: str, times: int = 1) -> None:
        """Read on until so many more lines match."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            times -= bool(re.search(pattern, line))
            if times == 0:
                return
        pytest.fail(f"{pattern!r} was not said:\n{self}")

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Read to the end; the exit code."""
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self.lines += [line.rstrip() for line in self.process.stdout]
            self.process.stdout.close()
        return self.process.wait()


def workers_of(node: Any) -> list[psutil.Process]:
    """The training workers that a node's raylet has started."""
    children = raylet_of(node).children(recursive=True)
    return [child for child in children if child.name().startswith("ray::ImplicitFunc")]


def raylet_of(node: Any) -> psutil.Process:
    [raylet] = node.all_processes["raylet"]
    return psutil.Process(raylet.process.pid)


def wait_for(condition: Callable[[], object], what: str, driver: Driver, within_s: float = 240) -> None:
    """Ask until it holds: there is nothing else to hear of another process."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s or driver.process.poll() is not None:
            driver.process.kill()
            driver.end()
            pytest.fail(f"{what} did not come:\n{driver}")
        time.sleep(0.02)


def under_way(runs: Path) -> list[EpochReport]:
    """The last report of every attempt that has not ended, from the journals of its driver."""
    found = []
    for path in (runs / names.JOURNALS).glob("*.jsonl"):
        try:
            told = read_events(path)
        except FileNotFoundError:  # sealed meanwhile
            continue
        if told and isinstance(told[-1], EpochReport) and told[-1].epoch < EPOCHS:
            found.append(told[-1])
    return found


def mid_trial_on(runs: Path, node: Any) -> Callable[[], bool]:
    """Is a trial under way on this node?"""
    return lambda: any(report.node_id == node.node_id for report in under_way(runs))


def test_doctor_looks_at_every_node_and_says_which_has_other_code(cluster: Any, tmp_path: Path) -> None:
    other = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(changed_code(tmp_path))})
    where = ["--store", tmp_path / "runs", "--cache", tmp_path / "cache", "--address", cluster.address]
    with Driver("doctor", *where, cwd=tmp_path) as driver:
        assert driver.end() == 1, "a run is impossible"
    cluster.remove_node(other)
    found = {tuple(line.split()[:3]) for line in driver.lines if "node" in line.split()[1:2]}
    assert found == {("ok", "node", cluster.head_node.node_id[:6]), ("FAIL", "node", other.node_id[:6])}, str(driver)
    assert "install the same tune-kd there" in str(driver)


def test_nodes_come_and_go_and_nothing_is_lost_or_run_twice(cluster: Any, cache: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    where = ["--store", runs, "--cache", cache, "--address", cluster.address]
    nodes = {node.node_id: node for node in (cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1))}
    with Driver(*COMMAND, *SETTINGS, *where, cwd=tmp_path) as driver:
        wait_for(lambda: under_way(runs), "a trial", driver)
        staying = nodes.pop(under_way(runs)[0].node_id)
        [dying] = nodes.values()
        # Held in the middle of its trial: else it might do the work of all the others before they are up.
        [held] = workers_of(staying)
        held.suspend()
        wait_for(mid_trial_on(runs, dying), "a trial on the node that will die", driver)
        cluster.remove_node(dying, allow_graceful=False)
        late = cluster.add_node(num_cpus=1)
        other = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(changed_code(tmp_path))})
        wait_for(mid_trial_on(runs, late), "a trial on the node that came late", driver)
        raylet = raylet_of(staying)
        raylet.suspend()
        time.sleep(2)  # a slow node: Ray gives one up after about half a minute
        raylet.resume()
        driver.until(f"node {other.node_id[:8]}.* other code")
        held.kill()  # as the OOM killer does
        driver.until("failed")
        wait_for(lambda: under_way(runs), "a trial for the driver to leave behind", driver)
    before = open_store(runs)
    before.seal_orphans()
    finished = before.trials().query("status == 'completed'").set_index("trial_id")
    with Driver("resume", *where, cwd=tmp_path) as refused:
        assert refused.end() == 2, "a node with other code is refused before anything is spent"
    assert refused.lines[-1].startswith(f"tune-kd: node {other.node_id[:8]}"), str(refused)
    cluster.remove_node(other)
    with Driver("resume", *where, cwd=tmp_path) as resumed:
        assert resumed.end() == 0, f"{driver}\n{resumed}"

    store = open_store(runs)
    run, trials, reports, nodes = store.runs().iloc[0], store.trials(), store.reports(), store.nodes()
    completed = trials[trials.status == "completed"].set_index("trial_id")
    assert (run.status, run.spent, len(completed), completed.index.is_unique) == ("completed", TRIALS, TRIALS, True)
    assert not reports.duplicated(["trial_id", "epoch"]).any(), "an epoch was reported twice"
    assert len(reports) == TRIALS * EPOCHS
    assert (completed.loc[finished.index].started_at == finished.started_at).all(), "what had ended was run again"
    assert {"failed", "lost"} <= set(trials.status), "a killed worker, a killed driver"
    assert completed.test_score.notna().all()
    by_node = nodes.set_index("node_id")
    assert set(by_node.index) >= {staying.node_id, late.node_id, dying.node_id}
    assert other.node_id not in {*by_node.index, *reports.node_id}, str(driver)
    assert by_node.meter_error.notna().to_dict()[dying.node_id]
    assert reports[reports.node_id == late.node_id].energy_j.notna().all(), "a node that came late has a meter"
    # Each attempt is charged at least what was reported of it, and the parts of every node make its total.
    last = reports.groupby(["trial_id", "attempt"]).energy_j.max()
    charged = trials.set_index(["trial_id", "attempt"]).energy_j
    assert (charged.loc[last.index] >= last * (1 - 1e-9)).all()
    metered = nodes[nodes.energy_total_j.notna()]
    parts = metered[["energy_trials_j", "energy_other_runs_j", "energy_other_j", "energy_idle_j"]].sum(axis=1)
    assert ((metered.energy_total_j - parts).abs() <= 1e-9 * metered.energy_total_j).all()
    assert set(nodes.meter_params_json.dropna().map(lambda text: json.loads(text)["given"]["cpu_watts"])) == {20}, (
        "a resumed run is metered as it was"
    )
    assert store.verify() == []


def changed_code(folder: Path) -> Path:
    """A copy of our packages in which one policy differs."""
    copy = copy_packages(folder / "changed")
    with (copy / "policies" / "grid.py").open("a", encoding="utf-8") as source:
        source.write("\nCHANGED = True\n")
    return copy
