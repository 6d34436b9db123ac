"""The student that a run chose, written to a folder: weights or int8 graph, ONNX and its record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch

from tune_kd.cluster import code
from tune_kd.config.scenario import from_record
from tune_kd.errors import InputError
from tune_kd.history.trial_results import results, trial_row
from tune_kd.models.onnx import as_onnx
from tune_kd.storage import checkpoints
from tune_kd.storage.cache import cache_at
from tune_kd.storage.checkpoints import checkpoint_name
from tune_kd.store import Store
from tune_kd.tasks.catalogue import task_of
from tune_kd.tasks.detection.parts import ssd
from tune_kd.training.handed_out import handed_out
from tune_kd.training.quantized import exported

DETECTED = ("class_logits", "box_regressions")
"""The names of a detector's outputs in ONNX."""


def export_best(
    run_id: str, folder: Path, *, store: Store, cache: str | Path | None = None, data_root: Path | None = None
) -> list[Path]:
    """Write a run's incumbent student to ``folder``: ``student.pt``, ``student.onnx`` and ``record.json``.

    ``student.pt`` is a state_dict. A quantized student has ``student.pt2`` in its place: its int8 graph, for
    ``torch.export.load`` once torchao is imported. Its ONNX model is int8, too. The ONNX model takes normalised images,
    float32 [B, channels, size, size]. A detector gives ``class_logits`` [B, A, n] and ``box_regressions`` [B, A, 4];
    what they are about is in the record.
    Raises InputError where the run has no incumbent or its checkpoint is gone, or where ONNX is not installed.
    """
    run = store.show_run(run_id).run
    trial_id = store.incumbent(run_id)
    if trial_id is None:
        raise InputError(f"run {run_id} has no trial that ended well, so there is no student to export")
    home = cache_at(cache)
    state = checkpoints.load(home.kept.place(checkpoint_name(run_id, trial_id)))
    if state is None:
        raise InputError(
            f"the checkpoint of {trial_id} is not in the cache {home.where}; give the run's own with --cache"
        )
    scenario = from_record(run["scenario_json"])
    task = task_of(scenario)
    data = task.load(scenario, home.folder, data_root)
    _check_onnx()
    found, shape = handed_out(state, scenario, data), task.image_shape(data)
    folder.mkdir(parents=True, exist_ok=True)
    if found.int8 is None:
        weights = folder / "student.pt"
        torch.save(found.float32.state_dict(), weights)
    else:
        weights = folder / "student.pt2"
        torch.export.save(exported(found.int8, torch.zeros(2, *shape)), weights)
    model = as_onnx(found.int8 or found.float32, shape, DETECTED if task.anchors else None)
    (folder / "student.onnx").write_bytes(model)
    trial = trial_row(store, trial_id)
    record = {
        "trial_id": trial_id,
        "scenario": json.loads(run["scenario_json"]),
        "policy": json.loads(run["policy_json"]),
        "params": json.loads(trial["params_json"]),
        "classes": data.classes,
        "normalisation": {"mean": data.mean, "std": data.std, "of": "pixel values in 0..1"},
        "weights": "float32" if found.int8 is None else "int8",
        **(_boxes(found.float32) if task.anchors else {}),
        **results(trial),
        **code.code(),
    }
    (folder / "record.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return [weights, folder / "student.onnx", folder / "record.json"]


def _check_onnx() -> None:
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError("ONNX is not installed; install it with: pip install 'tune-kd[onnx]'") from error


def _boxes(student: torch.nn.Module) -> dict[str, Any]:
    """What nobody could use a detector's outputs without: its default boxes, and how they are moved."""
    return {
        "logits": "class 0 is the background, class i is classes[i - 1]",
        "regressions": "offsets from the default boxes as torchvision's BoxCoder writes them",
        "box_coder_weights": list(ssd().box_coder.weights),
        "default_boxes": cast(torch.Tensor, student.default_boxes).tolist(),
    }
