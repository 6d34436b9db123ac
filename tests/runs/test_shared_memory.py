"""Data and teacher are put into Ray's object store once: every trial of a node reads them there, and copies nothing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tune_kd.tasks.classification import Classification

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which memory is shared")
def test_a_worker_reads_data_and_teacher_where_the_driver_has_put_them(ray_running, digits, teacher):
    weights = {
        **teacher.weights,
        "half": torch.randn(3, 5).bfloat16(),
        "channels last": torch.randn(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "counter": torch.tensor(2**40 + 1),
        "nothing": torch.empty(0),
    }

    @ray_running.remote(num_cpus=0)
    def look(references):
        data, teacher = ray_running.get(references)
        arrays = [data.train.images, data.train.labels, data.validation.images, data.validation.labels]
        addresses = [array.ctypes.data for array in arrays]
        addresses += [tensor.data_ptr() for tensor in teacher.weights.values() if tensor.numel()]
        regions = [line.split()[:2] for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines()]
        shared = [[int(end, 16) for end in area.split("-")] for area, rights in regions if rights.endswith("s")]
        return {
            "private": sum(not any(start <= address < end for start, end in shared) for address in addresses),
            "flags": {(array.flags.owndata, array.flags.writeable) for array in arrays},
            "weights": teacher.weights,
            "split": data.split_sha256,
        }

    references = [ray_running.put(replace(digits)), ray_running.put(replace(teacher, weights=weights))]
    found = ray_running.get(look.remote(references))
    assert found["private"] == 0, "arrays or tensors lie in the worker's own memory"
    assert found["flags"] == {(False, False)}
    assert found["split"] == digits.split_sha256
    assert found["weights"].keys() == weights.keys()
    for name, tensor in weights.items():
        assert found["weights"][name].dtype == tensor.dtype
        assert torch.equal(found["weights"][name], tensor)


def test_what_pixels_are_normalised_by_is_measured_once(ray_running, digits):
    """By the driver: seconds for large images, which no trial and no examination spends again."""

    @ray_running.remote(num_cpus=0)
    def already_known(data):
        before = {**vars(data)}
        return before["normalisation"] or before.get("_normalisation"), (data.mean, data.std)

    data = replace(digits)
    of_trials, of_all = ray_running.put(Classification().for_trials(data)), ray_running.put(data)
    for reference in (of_trials, of_all):
        known, used = ray_running.get(already_known.remote(reference))
        assert known == used == (digits.mean, digits.std)
