"""Where windows begin: every stretch of context and horizon without a gap whose horizon lies in a split.

Shapes: W windows. L: steps of the context, H: of the horizon.
"""

from __future__ import annotations

import numpy as np

from specrun.errors import DataError
from specrun.tasks.forecasting.columns import Columns, Integers
from specrun.tasks.forecasting.series import Series


def window_starts(series: Series, split: int, *, context: int, horizon: int, stride: int = 1) -> Integers:
    """First rows of the windows of a split, ascending, (W,). In train (split 0) the context lies there too, as it is the first."""
    found = []
    for first, end in series.runs:
        inside = np.flatnonzero(series.splits[first:end] == split)
        if len(inside):
            # A split is one stretch of a run: time ascends from one to the next.
            begin = max(int(inside[0]) - context, 0)
            found.append(first + np.arange(begin, int(inside[-1]) + 1 - context - horizon + 1, stride))
    return np.concatenate(found).astype(np.int64) if found else np.empty(0, dtype=np.int64)


def check_lengths(columns: Columns, series: Series, *, context: int, horizon: int) -> None:
    """Raise DataError for a series that is shorter than a window, named."""
    lengths = np.diff(series.offsets)
    need = context + horizon
    short = np.flatnonzero(lengths < need)
    if not len(short):
        return
    number = int(short[0])
    name = f"series {series.names[number]!r}" if series.names[number] else "the series"
    row = columns.place(int(series.order[series.offsets[number]]))
    more = f", and {len(short) - 1} others are as short" if len(short) > 1 else ""
    raise DataError(
        f"{name}, from {row} on, has {lengths[number]:,} rows; task.context {context} and task.horizon {horizon} need {need:,}{more}",
        code="series-shorter-than-window",
        hint=_shorter(int(lengths.min()), context=context, horizon=horizon, series="or leave out series as short"),
    )


def too_short(columns: Columns, series: Series, split: int, *, context: int, horizon: int) -> DataError:
    """What is said of a split that no window fits into."""
    name = columns.splits[split]
    longest = max(int((series.splits[first:end] == split).sum()) for first, end in series.runs)
    own_context = context if split == 0 or longest >= horizon else 0
    needs = f"task.horizon {horizon}" + (f" after task.context {context}" if own_context else "")
    return DataError(
        f"no window fits into the {name} split: at most {longest:,} of its rows follow one another without a gap, and one takes {needs}",
        code="split-shorter-than-window",
        hint=_shorter(longest, context=own_context, horizon=horizon, series=f"or give {name} a larger share in data.split"),
    )


def _shorter(rows: int, *, context: int, horizon: int, series: str) -> str:
    """What fits into so many rows."""
    if rows > horizon and context:
        return f"use task.context: {rows - horizon} or less, {series}"
    if rows > 1 and context:
        return f"use task.horizon: {rows // 2} and task.context: {rows - rows // 2} or less, {series}"
    return f"use task.horizon: {rows} or less, {series}" if rows else series.removeprefix("or ")
