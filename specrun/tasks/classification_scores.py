"""How a classifier is judged, from the sums that `training.class_counts` has read: for every task that predicts a class.

    counts = ClassCounts(num_classes, device=device)
    counts.add(logits, labels)                            for each batch of an evaluation
    sums = counts.read(workers)                           what `Task.evaluate` returns
    metrics(sums)                                         what `Task.metrics` returns; `classification_metrics.METRICS` names them
    classification_figures.figures(sums, names)           what `Illustrated.figures` returns

Shapes: K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]


def metrics(sums: Mapping[str, Any]) -> dict[str, float]:
    """Mean loss in nats, shares of right predictions, macro F1 and the expected calibration error of one set of sums."""
    predictions = sums["predictions"]
    if not predictions:
        return {}
    found = {
        "loss": sums["nll"] / predictions,
        "accuracy": sums["correct"] / predictions,
        "macro_f1": macro_f1(sums),
        "calibration_error": calibration_error(sums),
    }
    if num_classes(sums) > 5:
        found["top5_accuracy"] = sums["top5"] / predictions
    return found


def from_predictions(labels: npt.ArrayLike, predicted: npt.ArrayLike, *, num_classes: int) -> dict[str, float]:
    """accuracy and macro_f1 of predicted classes without probabilities, as a baseline may have them. Both: int, 0 to K - 1."""
    labels_N, predicted_N = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    right_N = labels_N == predicted_N
    counts = [np.bincount(of, minlength=num_classes).tolist() for of in (labels_N[right_N], labels_N, predicted_N)]
    return {"accuracy": float(right_N.mean()), "macro_f1": macro_f1({"classes": counts})}


def macro_f1(sums: Mapping[str, Any]) -> float:
    """Mean over classes of F1, the harmonic mean of precision and recall. A class that is neither true nor predicted anywhere has none."""
    correct_K, true_K, predicted_K = per_class(sums)
    either_K = true_K + predicted_K
    found_K = either_K > 0
    return float((2 * correct_K[found_K] / either_K[found_K]).mean())


def calibration_error(sums: Mapping[str, Any]) -> float:
    """Mean distance of confidence and accuracy over 15 bins of confidence, weighted by their samples (Guo et al. 2017, ECE)."""
    return float(sum(abs(confidence - correct) for _, confidence, correct in sums["calibration"]) / sums["predictions"])


def num_classes(sums: Mapping[str, Any]) -> int:
    """How many classes were counted."""
    return len(sums["confusion"]) if "confusion" in sums else len(sums["classes"][0])


def per_class(sums: Mapping[str, Any]) -> tuple[Counts, Counts, Counts]:
    """Of each class how often it was predicted rightly, was true, and was predicted. Returns: (K,) each."""
    if "classes" in sums:
        correct_K, true_K, predicted_K = np.asarray(sums["classes"], dtype=np.int64)
        return correct_K, true_K, predicted_K
    confusion_KK: Counts = np.asarray(sums["confusion"], dtype=np.int64)
    return confusion_KK.diagonal(), confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
