"""The example manifests of docs/cluster, as far as they can be checked without Kubernetes and Slurm."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tune_kd.cli import app

EXAMPLES = Path(__file__).parents[2] / "docs" / "cluster"

# The fields that KubeRay 1.7's RayJob has (docs.ray.io, KubeRay CRD API reference), of those that are used here.
FIELDS = {
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "backoffLimit", "rayClusterSpec"},
    "spec.rayClusterSpec": {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"},
    "spec.rayClusterSpec.authOptions": {"mode", "secretName"},
    "spec.rayClusterSpec.headGroupSpec": {"rayStartParams", "template"},
}
GROUP_FIELDS = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


@pytest.fixture(scope="module")
def rayjob() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "rayjob.yaml").read_text(encoding="utf-8"))
    return found


def test_the_ray_job_has_the_fields_of_kuberays_schema(rayjob: dict[str, Any]) -> None:
    assert (rayjob["apiVersion"], rayjob["kind"]) == ("ray.io/v1", "RayJob")
    for place, fields in FIELDS.items():
        table = rayjob
        for name in filter(None, place.split(".")):
            table = table[name]
        assert set(table) <= fields, place
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert cluster["authOptions"]["mode"] == "token"
    for group in cluster["workerGroupSpecs"]:
        assert set(group) <= GROUP_FIELDS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        [container] = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert container["resources"]["requests"] == container["resources"]["limits"]
    images = {
        group["template"]["spec"]["containers"][0]["image"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    }
    assert len(images) == 1, "other code on a node is refused"


def commands() -> list[list[str]]:
    """The tune-kd commands of the examples, as words."""
    manifest = yaml.safe_load((EXAMPLES / "rayjob.yaml").read_text(encoding="utf-8"))["spec"]["entrypoint"]
    script = (EXAMPLES / "slurm.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^tune-kd (.*) &$", script, re.MULTILINE)
    return [shlex.split(text) for text in (manifest.removeprefix("tune-kd "), *found)]


@pytest.mark.parametrize("words", commands(), ids=["rayjob", "slurm"])
def test_the_commands_of_the_examples_are_understood(words: list[str]) -> None:
    known = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", known))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_slurm_script_is_clean_by_shellcheck() -> None:
    done = subprocess.run(["shellcheck", str(EXAMPLES / "slurm.sh")], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)
