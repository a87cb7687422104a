"""What a report shows of a classifier: who is taken for whom, how sure it is and how right, and which classes it finds.

Shapes: K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from specrun.tasks.classification_scores import Counts, per_class

SHOWN_CLASSES = 30
_SHOWN_PAIRS = 15
_NAME_CHARACTERS = 40


def figures(sums: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Confusion matrix, most confused pairs, classes and reliability, as far as there are any predictions. names: of the classes."""
    if not sums["predictions"]:
        return []
    names = [name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…" for name in names]
    matrix = [_confusion(sums["confusion"], names), *_confused(sums["confusion"], names)] if "confusion" in sums else []
    return [*matrix, _classes(sums, names), _reliability(sums)]


def _confusion(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, Any]:
    """The most frequent classes, in the order of their numbers, and the others as one."""
    counts_KK: Counts = np.asarray(confusion, dtype=np.int64)
    shown = np.sort(np.argsort(-counts_KK.sum(axis=1), kind="stable")[:SHOWN_CLASSES])
    others = len(names) - len(shown)
    labels = [names[place] for place in shown]
    if others:
        group = np.full(len(names), len(shown))
        group[shown] = np.arange(len(shown))
        folded = np.zeros((len(shown) + 1, len(shown) + 1), dtype=np.int64)
        np.add.at(folded, (group[:, None], group[None, :]), counts_KK)
        counts_KK, labels = folded, [*labels, f"{others} others"]
    return {
        "id": "confusion", "kind": "heatmap", "title": "Confusion matrix",
        "caption": "Samples by their true class (rows) and the predicted one (columns)."
        + (f" The {len(shown)} most frequent classes; the others are folded into one." if others else ""),
        "x_label": "predicted", "y_label": "true", "x": labels, "y": labels, "values": counts_KK.tolist(), "format": "count",
    }  # fmt: skip


def _confused(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The pairs most often taken for each other, nothing where all is right."""
    counts_KK: Counts = np.array(confusion, dtype=np.int64)
    true_K = counts_KK.sum(axis=1)
    np.fill_diagonal(counts_KK, 0)
    largest = np.argsort(-counts_KK, axis=None, kind="stable")[:_SHOWN_PAIRS]
    pairs = [(int(true), int(predicted)) for true, predicted in zip(*np.unravel_index(largest, counts_KK.shape), strict=True)]
    rows = [[names[t], names[p], int(counts_KK[t, p]), float(counts_KK[t, p] / true_K[t])] for t, p in pairs if counts_KK[t, p]]
    columns = [{"name": "true", "format": "text"}, {"name": "predicted", "format": "text"}, {"name": "samples", "format": "count"},
               {"name": "of the true class", "format": "percent"}]  # fmt: skip
    table = {"id": "confused", "kind": "table", "title": "Most confused", "columns": columns, "rows": rows,
             "caption": "Which class is most often taken for which."}  # fmt: skip
    return [table] if rows else []


def _classes(sums: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and F1 of each class; of many, of those that are found worst."""
    correct_K, true_K, predicted_K = per_class(sums)
    f1_K = 2 * correct_K / np.maximum(true_K + predicted_K, 1)
    there = np.flatnonzero(true_K + predicted_K)
    shown = there[np.argsort(f1_K[there], kind="stable")[:SHOWN_CLASSES]]
    if len(there) <= SHOWN_CLASSES:
        shown = there
    rows = [
        [names[k], int(true_K[k]), *(float(correct_K[k] / of[k]) if of[k] else None for of in (predicted_K, true_K)), float(f1_K[k])]
        for k in shown
    ]
    columns = [{"name": "class", "format": "text"}, {"name": "samples", "format": "count"},
               *({"name": name, "format": "percent"} for name in ("precision", "recall", "F1"))]  # fmt: skip
    return {
        "id": "classes", "kind": "table", "title": "Classes", "columns": columns, "rows": rows,
        "caption": "Of what was predicted as the class, the share that is of it (precision); of what is of it, the share found (recall)."
        + (f" The {len(shown)} of {len(there)} with the lowest F1." if len(there) > len(shown) else ""),
    }  # fmt: skip


def _reliability(sums: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracy by confidence."""
    bins = [(confidence / samples, correct / samples) for samples, confidence, correct in sums["calibration"] if samples]
    confidences, accuracies = [list(values) for values in zip(*bins, strict=True)]
    return {
        "id": "reliability", "kind": "lines", "title": "Reliability", "x_label": "confidence", "y_label": "accuracy",
        "caption": "How often predictions are right, by how sure the model is of them, in 15 bins of confidence.",
        "x": confidences,
        "series": [{"name": "model", "values": accuracies, "style": "solid"},
                   {"name": "perfectly calibrated", "values": confidences, "style": "dashed"}],
        "bands": [],
    }  # fmt: skip
