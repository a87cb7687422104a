"""How numbers are scaled: the centre and the scale of a column, by its rows in train.

Shapes: R rows, N series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from specrun.errors import DataError
from specrun.tasks.forecasting.columns import Floats
from specrun.tasks.forecasting.series import Bools, Series

Scaling = Literal["standard", "robust", "none"]


@dataclass(frozen=True, slots=True)
class Scale:
    """scaled = (value - centre) / scale. centre, scale: of each series, (N,). constant: how many have no spread, and are not divided."""

    centre: Floats
    scale: Floats
    constant: int = 0

    def scaled(self, values_R: Floats, series: Series) -> Floats:
        """The rows of a column, scaled."""
        lengths = np.diff(series.offsets)
        return (values_R - np.repeat(self.centre, lengths)) / np.repeat(self.scale, lengths)


def find_scale(values_R: Floats, series: Series, *, scaling: Scaling, by_group: bool = False) -> Scale:
    """standard: mean and standard deviation; robust: median and interquartile range (as sklearn's StandardScaler and RobustScaler).

    Raises: DataError for a group without rows in train where each is scaled by its own.
    """
    count = len(series.names)
    if scaling == "none":
        return Scale(np.zeros(count), np.ones(count))
    in_train: Bools = series.splits == 0
    if not by_group:
        centre, scale = _spread(values_R[in_train], scaling)
        return Scale(np.full(count, centre), np.full(count, scale or 1.0), constant=int(scale == 0))
    parts = np.split(np.arange(len(values_R)), series.offsets[1:-1])
    found = []
    for name, rows in zip(series.names, parts, strict=True):
        own = values_R[rows][in_train[rows]]
        if not len(own):
            raise DataError(f"series {name!r} has no rows in train, and each is scaled by its own", code="group-without-train",
                            hint="set task.scale_by_group: false, or use a split that gives train a part of each series")  # fmt: skip
        found.append(_spread(own, scaling))
    centre_N, scale_N = np.array(found).T
    return Scale(centre_N, np.where(scale_N == 0, 1.0, scale_N), constant=int((scale_N == 0).sum()))


def _spread(values: Floats, scaling: Scaling) -> tuple[float, float]:
    """Centre and scale of some numbers; 0 for what has no spread beyond rounding."""
    if scaling == "robust":
        low, centre, high = np.percentile(values, [25, 50, 75])
        return float(centre), float(high - low)
    centre, scale = float(values.mean()), float(values.std())
    return centre, scale if scale > 1e-12 * abs(centre) else 0.0


def naive_errors(values_R: Floats, series: Series, *, season: int) -> Floats:
    """Mean absolute error in train of taking the value a season before, of each series, (N,); 0 where none can be told.

    The scale of MASE: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy".
    """
    found = np.zeros(len(series.names))
    for number, (first, end) in enumerate(zip(series.offsets[:-1], series.offsets[1:], strict=True)):
        own = values_R[first:end][series.splits[first:end] == 0]
        if len(own) > season:
            found[number] = np.abs(own[season:] - own[:-season]).mean()
    return found
