"""A recorded trial gives its results again, and the student that a run chose can be taken away and used."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import tune_kd
from tune_kd import models
from tune_kd.api.explanations import FORMS
from tune_kd.cli import command_line
from tune_kd.data import Loading, load
from tune_kd.errors import InputError
from tune_kd.history.explain_again import explain_again
from tune_kd.history.export_student import export_best
from tune_kd.history.records import run_row
from tune_kd.history.rerun import rerun
from tune_kd.store import create_store

pytestmark = pytest.mark.slow

SMALL = {"recipe.epochs": 3, "teacher_recipe.epochs": 1}


@pytest.fixture(scope="module")
def store(ray_running, cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("repeat") / "runs"
    plan = {"budget": "2trials", "settings": SMALL, "store": folder, "cache": cache, "max_concurrent": 1}
    return tune_kd.compare(["grid", "stochastic"], **plan).store


def test_every_trial_repeats_bit_for_bit_without_ray(store, cache):
    for trial_id in store.trials().trial_id:
        repeat = rerun(trial_id, store=store, cache=cache)
        assert repeat.differences == ()
        assert repeat.surroundings == ()


def test_a_trial_repeats_from_a_store_below_a_folder_that_is_named_like_a_column(store, cache, tmp_path):
    copy = shutil.copytree(store.location, tmp_path / "seed=3" / "a*b" / "runs")
    repeat = rerun(store.trials().trial_id[0], store=tune_kd.open_store(copy), cache=cache)
    assert repeat.differences == ()


def arithmetic() -> tuple[int, bool]:
    """How this process computes: its threads, and whether it keeps numbers below the smallest normal one."""
    return torch.get_num_threads(), sys.float_info.min / 2 > 0


def test_whoever_repeats_a_trial_computes_afterwards_as_before(store, cache):
    before = arithmetic()
    assert before[1]
    rerun(store.trials().trial_id[0], store=store, cache=cache)
    assert arithmetic() == before


def test_a_result_that_does_not_repeat_is_named(store, cache):
    repeat = rerun(store.trials().trial_id[0], store=store, cache=cache)
    repeat.recorded["val_score"] = 0.5
    assert repeat.differences == (f"val_score: 0.5 recorded, {repeat.repeated['val_score']} now",)


def test_a_trial_that_is_not_there_is_named_with_its_nearest(store, cache):
    trial_id = store.trials().trial_id[0]
    with pytest.raises(InputError, match=f"did you mean '{trial_id}'"):
        rerun(trial_id + "x", store=store, cache=cache)


def test_the_exported_student_is_the_incumbent(store, cache, tmp_path):
    run_id = store.runs().query("policy == 'grid'").run_id.item()
    trials = store.trials().query("run_id == @run_id")
    best = trials.sort_values(["val_score", "index"], ascending=[False, True]).iloc[0]
    weights, onnx, record = export_best(run_id, tmp_path / "best", store=store, cache=cache)
    assert json.loads(record.read_text())["trial_id"] == best.trial_id
    data = load(Loading(source="digits", image_size=None, validation_fraction=0.15, split_seed=0))
    student = models.build("digits-student", classes=10, channels=1, image_size=8).eval()
    student.load_state_dict(torch.load(weights, weights_only=True))
    images = (torch.from_numpy(data.test.images) / 255 - data.mean[0]) / data.std[0]
    with torch.inference_mode():
        logits = student(images).numpy()
    assert np.mean(logits.argmax(axis=1) == data.test.labels) == pytest.approx(best.test_score, abs=1e-12)
    session = onnxruntime.InferenceSession(onnx)
    [from_onnx] = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    np.testing.assert_allclose(from_onnx, logits, atol=1e-4)


def said(line: str, capfd) -> tuple[int, str, str]:
    """The exit code of ``tune-kd`` with these arguments, what it prints, and its last line about an error."""
    code = command_line(line.split())
    printed = capfd.readouterr()
    return code, printed.out, printed.err.strip().rpartition("\n")[2]


def test_what_the_tests_have_kept_is_drawn_from_the_store_alone(store, tmp_path, capfd):
    study = store.runs().study_id[0]
    elsewhere = f"--store {store.location} --cache {tmp_path / 'empty'} --out {tmp_path / 'out'}"
    code, printed, _ = said(f"explain {study} {elsewhere}", capfd)
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()[3:6]] == ["teacher", "grid", "stochastic"]
    figures = ("logits", "probabilities", "grad-cam", "confusion", "reliability")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{n}.{form}" for n in figures for form in FORMS}


def test_networks_that_are_asked_again_say_what_their_tests_have_kept(store, cache):
    runs, trials = store.runs().set_index("policy"), store.trials().set_index("trial_id")
    run_id = runs.run_id["stochastic"]
    trial_id = store.incumbent(run_id)
    asked = explain_again(run_id, {trial_id: run_id}, images=12, store=store, cache=cache)
    kept, teacher = trials.loc[trial_id], json.loads(runs.teacher_test_metrics_json["stochastic"])
    assert asked.labels[:4] == json.loads(runs.examples_json["stochastic"])["labels"] == [0, 1, 2, 3]
    assert len(asked.labels) == len(asked.students[trial_id]["example_maps"]) == 12
    for said_now, said_then in ((asked.students[trial_id], kept), (asked.teacher, teacher)):
        then = np.array([list(row) for row in said_then["example_logits"]])
        np.testing.assert_allclose(said_now["example_logits"][:4], then, rtol=1e-4, atol=1e-4)


def test_a_users_own_files_are_explained_and_what_is_no_image_is_refused(store, cache, tmp_path, capfd):
    run_id = store.runs().run_id[0]
    image, text = tmp_path / "own.png", tmp_path / "own.txt"
    Image.new("RGB", (30, 20), (250, 10, 10)).save(image)
    text.write_text("no image")
    where = f"--store {store.location} --cache {cache} --out {tmp_path / 'out'}"
    assert said(f"explain {run_id} --images {image} {where}", capfd)[0] == 0
    assert (tmp_path / "out" / "grad-cam.pdf").exists()
    assert said(f"explain {run_id} --images {image} --images {text} {where}", capfd)[::2] == (
        2,
        f"tune-kd: {text} cannot be decoded; give image files",
    )
    code, _, line = said(f"explain {run_id} --layer 55 {where}", capfd)
    assert (code, "has no layer '55'" in line) == (2, True)
    code, _, line = said(f"explain {run_id} --images 5 --store {store.location} --cache {tmp_path / 'empty'}", capfd)
    assert (code, "is not in the cache" in line) == (2, True)


def test_a_run_that_was_stopped_is_drawn_though_it_is_no_replicate(store, tmp_path, capfd):
    copy = create_store(shutil.copytree(store.location, tmp_path / "runs"))
    row = run_row(copy, store.runs().run_id[0])
    row.columns["status"] = "stopped"
    row.write(copy)
    code, printed, _ = said(f"explain {row.run_id} --store {copy.location} --out {tmp_path / 'out'}", capfd)
    assert code == 0
    assert row.columns["policy"] in printed
