"""What a model of a table has to beat: the train split's mean or most frequent class, and the best linear model."""

from __future__ import annotations

import numpy as np

from specrun.plan.figures import plural
from specrun.runtime.device import Device
from specrun.tasks import classification_scores
from specrun.tasks.contract import Baseline
from specrun.tasks.tabular import regression_scores
from specrun.tasks.tabular.arrays import SplitArrays
from specrun.tasks.tabular.encoding import Encoding
from specrun.tasks.tabular.linear import PART_ROWS, Design, Linear, design, logistic, ridge
from specrun.training.class_counts import ClassCounts


def fit(train: SplitArrays, encoding: Encoding) -> Linear:
    """The best linear model of the train split."""
    form = design(len(encoding.inputs), [category.cardinality for category in encoding.categories], outputs=encoding.sizes["outputs"])
    return logistic(train, form, num_classes=len(encoding.classes)) if encoding.classes else ridge(train, form)


def judged(linear: Linear, train: SplitArrays, arrays: SplitArrays, encoding: Encoding, *, device: Device) -> list[Baseline]:
    """The constant prediction and the linear model on a split, by the metrics of the task that they have."""
    restricted = [f"without {plural(linear.design.left_out, 'column')}"] if linear.design.left_out else []
    restricted += [f"on {linear.rows:,} rows"] if linear.rows < len(train) else []
    more = f" ({', '.join(restricted)})" if restricted else ""
    if encoding.classes:
        # A class without rows has half of one: never is more than anyone can know.
        counts_K = np.maximum(np.asarray(encoding.targets[0].counts, dtype=np.float64), 0.5)
        constant_O, shown = np.log(counts_K / counts_K.sum()), ("majority", "most frequent class", "logistic", "logistic regression")
    else:
        constant_O, shown = np.zeros(len(encoding.targets)), ("mean", "mean", "ridge", "ridge regression")
    constant = Linear(Design(0, (), 0), constant_O[None], len(train))
    return [
        Baseline(shown[0], shown[1], _metrics(constant, arrays, encoding, device)),
        Baseline(shown[2], f"{shown[3]}{more}", _metrics(linear, arrays, encoding, device)),
    ]


def _metrics(linear: Linear, arrays: SplitArrays, encoding: Encoding, device: Device) -> dict[str, float]:
    counts = ClassCounts(len(encoding.classes), device=device) if encoding.classes else None
    totals = np.zeros((len(regression_scores.SUMS), len(encoding.targets)))
    for start in range(0, len(arrays), PART_ROWS):
        index = np.arange(start, min(start + PART_ROWS, len(arrays)))
        outputs_BO, targets_BY = linear.outputs(arrays, index), arrays.targets[index]
        if counts is not None:
            counts.add(device.transfer(outputs_BO.astype(np.float32)), device.transfer(targets_BY[:, 0].astype(np.int64)))
        else:
            totals += regression_scores.errors(outputs_BO, targets_BY.astype(np.float64))
    if counts is not None:
        return classification_scores.metrics(counts.read())
    return regression_scores.metrics(regression_scores.sums_of(totals.ravel().tolist(), len(arrays), encoding.targets))
