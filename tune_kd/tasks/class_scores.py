"""Scores of a classification, as columns of the ``trials`` table."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix, precision_recall_fscore_support


def class_scores(labels: np.ndarray, predictions: np.ndarray, classes: int) -> dict[str, Any]:
    """Accuracy, macro averages, Cohen's kappa and the confusion matrix, as columns of the ``trials`` table.

    ``labels`` and ``predictions`` are [N] class indices. A class that is never predicted has precision 0. A prediction
    of :data:`tune_kd.tasks.classification.NO_CLASS` is never right, and in no column of the confusion matrix.
    Prevalence is the largest class's share of the labels: what a constant answer would score.
    """
    every = np.arange(classes)
    confusion = confusion_matrix(labels, predictions, labels=every)
    precision, recall, f1, support = precision_recall_fscore_support(labels, predictions, labels=every, zero_division=0)
    negatives = len(labels) - support
    true_negatives = negatives - confusion.sum(axis=0) + confusion.diagonal()
    specificity = np.divide(true_negatives, negatives, out=np.zeros(classes), where=negatives > 0)
    return {
        "test_score": float(accuracy_score(labels, predictions)),
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
