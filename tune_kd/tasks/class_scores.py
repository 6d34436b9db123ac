"""Scores of a classification, as columns of the ``trials`` table."""

from __future__ import annotations

from typing import Any

import numpy as np


def class_scores(labels: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracy, macro averages, Cohen's kappa and the confusion matrix, as columns of the ``trials`` table.

    ``labels`` and ``predictions`` are [N] class indices. A class that is never predicted has precision 0. A prediction
    of :data:`tune_kd.tasks.classification.NO_CLASS` is never right, and in no column of the confusion matrix.
    Prevalence is the largest class's share of the labels: what a constant answer would score.

    scikit-learn has the same numbers; its import would take most of a CPU second of the first test in every worker.
    """
    named = (predictions >= 0) & (predictions < classes)
    confusion = np.bincount(labels[named] * classes + predictions[named], minlength=classes**2)
    confusion = confusion.reshape(classes, classes)  # rows truth, columns prediction
    right, support, predicted = confusion.diagonal(), np.bincount(labels, minlength=classes), confusion.sum(axis=0)
    precision, recall, f1 = _share(right, predicted), _share(right, support), _share(2 * right, predicted + support)
    negatives = len(labels) - support
    specificity = _share(negatives - predicted + right, negatives)
    accuracy = right.sum() / len(labels)
    return {
        "test_score": float(accuracy),
        "precision_macro": float(precision.mean()),
        "recall_macro": float(recall.mean()),
        "specificity_macro": float(specificity.mean()),
        "f1_macro": float(f1.mean()),
        "kappa": _kappa(accuracy, support @ predicted / len(labels) ** 2),
        "prevalence": float(support.max() / support.sum()),
        "confusion": confusion.tolist(),
        "per_class": [
            {"precision": float(p), "recall": float(r), "f1": float(f)}
            for p, r, f in zip(precision, recall, f1, strict=True)
        ],
    }


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part`` / ``whole``, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _kappa(agreement: float, by_chance: float) -> float | None:
    """Cohen's kappa; None where labels and predictions are all of one class, and chance explains everything."""
    return None if by_chance == 1 else float((agreement - by_chance) / (1 - by_chance))
