"""Values that are so far from all others that they set a column's scale, as a slip of a decimal point or a filler such as 1e30 does.

Shapes: R rows, N series.
"""

from __future__ import annotations

import numpy as np

from specrun.tasks.forecasting.columns import Floats
from specrun.tasks.forecasting.series import Series

_FAR = 1e6
"""Interquartile ranges from the median: the most extreme of the widest real columns, such as rain or turnover, are far below."""


def far_out(values_R: Floats, series: Series, *, by_group: bool) -> tuple[int, float] | None:
    """The farthest value and how many interquartile ranges it is from the median, of its series or of all; None where it is not far, and
    where most values are the same."""
    parts = np.split(values_R, series.offsets[1:-1]) if by_group else [values_R]
    firsts = series.offsets[:-1] if by_group else [0]
    found = [(first + place, far) for first, own in zip(firsts, parts, strict=True) for place, far in [_farthest(own)]]
    row, far = max(found, key=lambda place: place[1])
    return (int(row), far) if far > _FAR else None


def _farthest(values: Floats) -> tuple[int, float]:
    low, centre, high = np.percentile(values, [25, 50, 75])
    away = np.abs(values - centre)
    row = int(away.argmax())
    return row, float(away[row] / (high - low)) if high > low else 0.0
