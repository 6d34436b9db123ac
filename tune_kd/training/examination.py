"""The one reading of the test set: the checkpoint that validation chose, measured apart from the training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, precision_recall_fscore_support

from tune_kd.data import ImageData
from tune_kd.data.batches import DeviceImages
from tune_kd.meter.carbon import Carbon
from tune_kd.meter.energy import Meter
from tune_kd.storage import checkpoints
from tune_kd.training import loop
from tune_kd.training.costs import build


def classification_metrics(labels: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracy, macro averages, Cohen's kappa and the confusion matrix, as columns of the ``trials`` table.

    ``labels`` and ``predictions`` are [N] class indices. A class that is never predicted has precision 0. A prediction
    of :data:`tune_kd.training.loop.NO_CLASS` is never right, and in no column of the confusion matrix.
    Prevalence is the largest class's share of the labels: what a constant answer would score.
    """
    every = np.arange(classes)
    confusion = confusion_matrix(labels, predictions, labels=every)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions, labels=every, zero_division=0)
    negatives = len(labels) - support
    true_negatives = negatives - confusion.sum(axis=0) + confusion.diagonal()
    specificity = np.divide(true_negatives, negatives, out=np.zeros(classes), where=negatives > 0)
    return {
        "test_accuracy": float(accuracy_score(labels, predictions)),
        "precision_macro": float(precision.mean()),
        "recall_macro": float(recall.mean()),
        "specificity_macro": float(specificity.mean()),
        "f1_macro": float(f1.mean()),
        "kappa": _kappa(labels, predictions),
        "prevalence": float(support.max() / support.sum()),
        "confusion": confusion.tolist(),
        "per_class": [
            {"precision": float(p), "recall": float(r), "f1": float(f)}
            for p, r, f in zip(precision, recall, f1, strict=True)
        ],
    }


def _kappa(labels: np.ndarray, predictions: np.ndarray) -> float | None:
    """Cohen's kappa; None where labels and predictions are all of one class, and chance explains everything."""
    if len(np.union1d(labels, predictions)) < 2:
        return None
    return float(cohen_kappa_score(labels, predictions))


def examine(
    model_name: str,
    checkpoint: Path | checkpoints.Slot,
    data: ImageData,
    *,
    precision: str,
    device: torch.device,
    meter: Meter,
    carbon: Carbon,
) -> dict[str, Any]:
    """Test metrics and inference costs of a trial's chosen weights, as columns of the ``trials`` table.

    Raises FileNotFoundError where there is no checkpoint.
    """
    state = checkpoints.load(checkpoint, device)
    if state is None:
        raise FileNotFoundError(f"no checkpoint at {checkpoint}")
    model = build(model_name, data).to(device)
    model.load_state_dict(state["chosen"]["weights"])
    images = DeviceImages(data.test, device)
    before, started = meter.mark(), time.perf_counter()
    predictions = loop.evaluate(model, images, data, precision).predictions.numpy()
    inference_s = time.perf_counter() - started
    energy_j = (meter.mark() - before).total_j
    return {
        **classification_metrics(data.test.labels, predictions, len(data.classes)),
        "inference_s": inference_s,
        "inference_energy_j": energy_j,
        "inference_co2e_g": carbon.co2e_g(energy_j),
    }
