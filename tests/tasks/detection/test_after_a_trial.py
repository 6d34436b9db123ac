"""What is left of a trial of detection: figures in the store, pictures in the report, and a student to take away."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from torchvision.models.detection._utils import BoxCoder

from analysis import report
from analysis.figures.detections import detections
from analysis.runs.reading import read
from tune_kd.budget.ledger import Ledger
from tune_kd.cluster.session import Resources
from tune_kd.config.scenario import Scenario
from tune_kd.data.detection import DetectionData
from tune_kd.data.detection.batches import eval_batches
from tune_kd.events import TrialEnded, TrialStarted, TrialTested, utc_now
from tune_kd.history.export_student import export_best
from tune_kd.history.records import plan_rows
from tune_kd.meter.carbon import Carbon
from tune_kd.models.detectors import default_boxes
from tune_kd.planning.plan import plan_study
from tune_kd.storage.cache import cache_at
from tune_kd.storage.checkpoints import checkpoint_name
from tune_kd.store import Store, create_store
from tune_kd.tasks.catalogue import task_of
from tune_kd.training.examination import examine
from tune_kd.training.teacher import Teacher
from tune_kd.training.trial import Trial

CPU = torch.device("cpu")
CARBON = Carbon(intensity_g_per_kwh=500.0, source="chosen for the tests", pue=1.5)
MakeDetectionTrial = Callable[..., Trial]


@pytest.fixture
def recorded(
    make_detection_trial: MakeDetectionTrial,
    scenes_settings: dict[str, Any],
    scenes_scenario: Scenario,
    scenes: DetectionData,
    scenes_teacher: Teacher,
    meters: Callable[..., Any],
    tmp_path: Path,
) -> tuple[Store, str]:
    """A store with a whole trial in it, and its run; the checkpoint is in the cache beside it."""
    study = plan_study(policies=["fixed"], scenario="digit-scenes", settings=scenes_settings)
    store, run_id = create_store(tmp_path / "runs"), study.runs[0].run_id
    [row] = plan_rows(study, scenes, store).values()
    row.start(store, scenes_teacher, Resources(cpus=1, gpus=0), CARBON)
    key = {"run_id": run_id, "trial_id": f"{run_id}-0000", "attempt": 0}
    place = cache_at(tmp_path / "cache").kept.place(checkpoint_name(run_id, key["trial_id"]))
    reports = [dataclasses.replace(one, **key) for one in make_detection_trial("fixed", checkpoint=place).fit()]
    tested = examine(scenes_scenario, place, scenes, device=CPU, meter=meters(), carbon=CARBON)
    about = {"index": 0, "seed": 1, "tau": 4.0, "alpha": 0.8, "params": {"tau": 4.0}, "metric": "mAP"}
    costs = {"pue": 1.5, "carbon_g_per_kwh": 500.0, "carbon_source": CARBON.source}
    with store.journal(run_id, key["trial_id"], 0) as journal:
        journal.append(TrialStarted(**key, **about, **costs, at=utc_now()))
        for one in reports:
            journal.append(one)
        journal.append(TrialEnded(**key, at=utc_now(), status="completed", error=None))
        journal.append(TrialTested(**key, at=utc_now(), energy_test_j=None, **tested))
        store.seal(run_id, key["trial_id"], 0)
    ledger = Ledger(budget=study.runs[0].budget)
    ledger.reserve(key["trial_id"])
    row.end(store, ledger, "completed", None, None)
    return store, run_id


def test_the_report_has_pictures_of_the_test_images_and_their_boxes(
    recorded: tuple[Store, str], scenes: DetectionData
) -> None:
    store, _ = recorded
    records = read(store)
    [shown] = detections(records.outcomes, records.trials).values()
    assert [example["image"] for example in shown.examples] == [0, 1, 2, 3]
    for example in shown.examples:
        here = scenes.test.objects_of(example["image"])
        assert [one["box"] for one in example["objects"]] == scenes.test.boxes[here].tolist()
        assert [one["class"] for one in example["objects"]] == [str(label - 1) for label in scenes.test.labels[here]]
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(example["jpeg"]))), np.float64)
        pixels = scenes.test.pixels(example["image"]).permute(1, 2, 0).numpy()
        assert picture.shape == (64, 64, 3)
        assert abs(picture - pixels).mean() < 12  # a JPEG of it; of another scene it would be several times as much
    [row] = records.trials["test_metrics_json"]
    assert len(row) < 20_000
    text = report.build(records)
    assert "Detections on test images" in text
    assert text.count("data:image/jpeg;base64,") == 4


@pytest.mark.slow
def test_an_exported_detector_finds_in_onnx_what_it_found_here(
    recorded: tuple[Store, str], scenes_scenario: Scenario, scenes: DetectionData, tmp_path: Path
) -> None:
    store, run_id = recorded
    weights, onnx, record_file = export_best(run_id, tmp_path / "best", store=store, cache=tmp_path / "cache")
    task = task_of(scenes_scenario)
    student = task.build(scenes_scenario.student, scenes).eval()
    student.load_state_dict(torch.load(weights))
    part = task.on_device(scenes.test, CPU)
    [batch] = eval_batches(part, image_size=64, batch_size=12, mean=scenes.mean, std=scenes.std)
    with torch.inference_mode():
        logits, (regressions,) = task.outputs(student, batch.images)
    session = onnxruntime.InferenceSession(str(onnx))
    names = [output.name for output in session.get_outputs()]
    assert names == ["class_logits", "box_regressions"]
    said = dict(zip(names, session.run(None, {session.get_inputs()[0].name: batch.images.numpy()}), strict=True))
    np.testing.assert_allclose(said["class_logits"], logits.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(said["box_regressions"], regressions.numpy(), rtol=1e-3, atol=1e-4)
    record = json.loads(record_file.read_text("utf-8"))
    assert record["classes"] == [str(digit) for digit in range(10)]
    assert record["default_boxes"] == default_boxes("ssdlite-small", classes=11, image_size=64).tolist()
    # The record has all that it takes to make boxes of the outputs.
    coder = BoxCoder(record["box_coder_weights"])
    boxes = coder.decode_single(torch.tensor(said["box_regressions"][0]), torch.tensor(record["default_boxes"]))
    assert boxes.shape == (336, 4)
