"""What a trial reserves, against what the nodes of a cluster have."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.exceptions import AuthenticationError

from tune_kd.cluster.session import Resources, ray_session, resources
from tune_kd.errors import InputError, RunFailed


class Nodes:
    """Stands for Ray where only its nodes are asked for."""

    def __init__(self, *nodes: dict[str, float]) -> None:
        self._nodes = nodes

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": node} for node in self._nodes] + [{"Alive": False, "Resources": {}}]


LAPTOP = Nodes({"CPU": 8.0, "memory": 1e9})
CLUSTER = Nodes({"CPU": 0.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0})


@pytest.mark.parametrize(
    ("cpus", "gpus", "node", "fits"),
    [
        (1, 0, {"CPU": 8}, 8),
        (3, 0, {"CPU": 8}, 2),
        (0.1, 0, {"CPU": 1}, 10),
        (1, 0.25, {"CPU": 8, "GPU": 1}, 4),
        (1, 0.3, {"CPU": 16, "GPU": 4}, 12),  # a part of a GPU never spans two
        (1, 2, {"CPU": 16, "GPU": 5}, 2),
        (4, 0.5, {"CPU": 8, "GPU": 4}, 2),
        (1, 1, {"CPU": 8}, 0),
        (1, 0, {}, 0),
    ],
)
def test_how_many_trials_a_node_holds(cpus: float, gpus: float, node: dict[str, float], fits: int) -> None:
    assert Resources(cpus=cpus, gpus=gpus).fits(node) == fits


@given(
    st.integers(1, 64), st.integers(0, 8), st.sampled_from([0.1, 0.25, 0.5, 1, 2, 3]), st.sampled_from([0, 0.2, 0.5, 1])
)
def test_what_fits_is_never_more_than_there_is(cpus: int, gpus: int, each_cpus: float, each_gpus: float) -> None:
    fits = Resources(cpus=each_cpus, gpus=each_gpus).fits({"CPU": cpus, "GPU": gpus})
    assert fits * each_cpus <= cpus + 1e-9
    assert fits * each_gpus <= gpus + 1e-9
    assert (fits + 1) * each_cpus > cpus or each_gpus, "one more would fit"


def test_a_trial_gets_a_whole_gpu_where_there_is_any() -> None:
    assert resources(LAPTOP, 1, None, None).gpus == 0
    assert resources(CLUSTER, 1, None, None).gpus == 1
    assert resources(CLUSTER, 1, 0, None).gpus == 0
    assert resources(CLUSTER, 1, 0.25, 3) == Resources(cpus=1, gpus=0.25, most=3)


@pytest.mark.parametrize(
    ("cluster", "cpus", "gpus", "says"),
    [
        (LAPTOP, 9, None, "--cpus-per-trial 9: no node has that much; Ray has 1 node with 8 CPUs and 0 GPUs"),
        (LAPTOP, 1, 1, "--cpus-per-trial 1 and --gpus-per-trial 1: no node has that much"),
        (CLUSTER, 1, 8, "Ray has 2 nodes with 16 CPUs and 4 GPUs, 1 node with 0 CPUs and 0 GPUs"),
        (CLUSTER, 1, 1.5, "--gpus-per-trial must be a whole number or ≤ 1, got 1.5"),
    ],
)
def test_asking_for_more_than_there_is_fails_with_what_there_is(
    cluster: Nodes, cpus: float, gpus: float | None, says: str
) -> None:
    with pytest.raises(InputError) as refused:
        resources(cluster, cpus, gpus, None)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_ray_that_does_not_start_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def too_slow(**_: Any) -> None:
        raise Exception("The current node timed out during startup. This could happen because\nmore lines")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(RunFailed) as failed, ray_session(None):
        pass
    assert str(failed.value).startswith(
        "Ray did not start here, go on with `tune-kd resume` and the same options: The current node timed out"
    )
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("failures", [1, 2])
def test_a_ray_that_was_too_slow_is_started_again_and_leaves_no_process(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    others: list[subprocess.Popen[bytes]] = []
    left: list[subprocess.Popen[bytes]] = []
    waits = [sys.executable, "-c", "input()"]

    def slow_at_first(**options: Any) -> None:
        if len(left) < failures:
            left.append(subprocess.Popen([*waits, options["_temp_dir"]], stdin=subprocess.PIPE))
            others.append(subprocess.Popen([*waits, "another"], stdin=subprocess.PIPE))
            raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", slow_at_first)
    with ray_session(None):
        assert [process.wait(timeout=300) for process in left] == [-signal.SIGKILL] * failures
        assert [process.poll() for process in others] == [None] * failures, "processes of somebody else's"
    for process in (*left, *others):
        process.communicate(b"\n")


def test_hidden_processes_that_keep_ray_from_starting_are_named_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ray did it on Linux under ``hidepid=1``, from the psutil that it brings."""
    import ray
    from ray.thirdparty_files.psutil import AccessDenied

    def refused(**_: Any) -> None:
        raise AccessDenied(1)

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(RunFailed, match=r"mount /proc with hidepid=2 or 0 instead of 1$"), ray_session(None):
        pass


@pytest.mark.parametrize(("quota", "asked"), [(0.5, 1), (1.5, None), (8.0, None)])
def test_a_quota_below_one_cpu_counts_as_one(quota: float, asked: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """``quota`` is what Ray reads in a container's cpu.max: it counts whole CPUs, rounded down."""
    import ray
    from ray._private import utils

    given: dict[str, Any] = {}

    def started(**options: Any) -> None:
        given.update(options)
        raise ConnectionError("far enough")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", started)
    monkeypatch.setattr(utils, "_get_docker_cpus", lambda: quota)
    with pytest.raises(RunFailed, match="far enough"), ray_session(None):
        pass
    assert given["num_cpus"] == asked


OTHER_VERSIONS = """Version mismatch: The cluster was started with:
    Ray: 2.55.1
    Python: 3.12.4
This process on node 10.0.0.7 was started with:
    Ray: 2.60.0
    Python: 3.11.9
"""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            RuntimeError(OTHER_VERSIONS),
            "the Ray cluster at '10.0.0.1:6379' runs Ray 2.55.1 and Python 3.12.4, this command Ray 2.60.0 and "
            "Python 3.11.9: they must be the same on every node",
        ),
        (
            AuthenticationError("Token authentication is enabled but no authentication token was found"),
            "no Ray cluster lets this command in at '10.0.0.1:6379': Token authentication is enabled but no "
            "authentication token was found; one with a token wants RAY_AUTH_MODE=token and the same token here, in "
            "~/.ray/auth_token or the file that RAY_AUTH_TOKEN_PATH names",
        ),
        (
            ConnectionError("ray.init() could not connect.\nMore lines."),
            "no Ray cluster lets this command in at '10.0.0.1:6379': ray.init() could not connect; one with",
        ),
        (RuntimeError(), "no Ray cluster lets this command in at '10.0.0.1:6379': RuntimeError; one with"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_said_in_one_line(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def refused(**_: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(InputError) as failed, ray_session("10.0.0.1:6379"):
        pass
    assert str(failed.value).startswith(says)
    assert "\n" not in str(failed.value)
