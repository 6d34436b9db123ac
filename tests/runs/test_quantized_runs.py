"""Real runs of quantized students: from the plan through Ray to a student that can be taken away and used."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch

import tune_kd
from tune_kd.data import Loading, load
from tune_kd.history.export_student import export_best
from tune_kd.history.rerun import rerun

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 3, "teacher_recipe.epochs": 1, "quantization.epochs": 2}


@pytest.fixture(scope="module")
def store(ray_running, cache, tmp_path_factory):
    plan = {"quantize": True, "settings": SMALL, "budget": "6epochs", "track": "budget", "max_concurrent": 1}
    folder = tmp_path_factory.mktemp("quantized") / "runs"
    return tune_kd.compare(["student", "stochastic"], store=folder, cache=cache, **plan).store


def test_an_epoch_of_quantization_is_an_epoch_of_the_budget(store):
    trials = store.trials().sort_values(["run_id", "index"])
    for run_id in store.runs().run_id:
        mine = trials[trials.run_id == run_id]
        assert mine.epochs.tolist() == [5, 1]
        assert mine.status.tolist() == ["completed", "stopped"]
        assert mine.checkpoint_epoch.tolist() == [5, 1]
        # What was stopped before its quantization is in float32.
        assert mine.float_test_score.notna().tolist() == [True, False]
        assert mine.inference_runtime.str.split().str[0].tolist() == ["onnxruntime", "torch"]
    assert (store.runs().spent == 6).all()
    asked = store.runs().set_index("policy").teacher_id
    assert asked.notna().to_dict() == {"student": False, "stochastic": True}


def test_both_networks_are_measured(store):
    whole = store.trials().query("status == 'completed'")
    for name in ("inference", "float_inference"):
        assert (whole[f"{name}_s"] > 0).all(), name
        assert (whole[f"{name}_energy_j"] >= 0).all(), name  # of milliseconds, in which a meter may count nothing
    assert whole.reduce_range.notna().all()
    assert (whole.float_weight_bytes / whole.weight_bytes > 2.5).all()
    assert (whole.energy_test_j > whole.inference_energy_j + whole.float_inference_energy_j).all()


def test_a_quantized_trial_repeats_to_the_last_digit(store, cache):
    for trial_id in store.trials().query("index == 0").trial_id:
        assert rerun(trial_id, store=store, cache=cache).differences == ()


def test_the_exported_student_is_int8_and_says_what_was_recorded(store, cache, tmp_path):
    run_id = store.runs().query("policy == 'stochastic'").run_id.item()
    graph, onnx, record = export_best(run_id, tmp_path / "best", store=store, cache=cache)
    trial_id = json.loads(record.read_text())["trial_id"]
    assert graph.name == "student.pt2"
    tested = store.trials().set_index("trial_id").loc[trial_id]
    data = load(Loading(source="digits", image_size=None, validation_fraction=0.15, split_seed=0))
    images = (torch.from_numpy(data.test.images) / 255 - data.mean[0]) / data.std[0]
    session = onnxruntime.InferenceSession(onnx)
    [logits] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    said = logits.argmax(axis=1)
    confusion = np.zeros((10, 10), dtype=int)
    np.add.at(confusion, (data.test.labels, said), 1)
    assert confusion.tolist() == [row.tolist() for row in tested.confusion]
    loaded = torch.export.load(graph).module()
    with torch.inference_mode():
        in_torch = loaded(images).argmax(dim=1).numpy()
    assert np.mean(in_torch == said) >= 0.98
