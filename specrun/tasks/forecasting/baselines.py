"""Forecasts that need no training, or a closed form alone, and that every model is shown beside.

Their quantiles are the forecast plus those of its errors in train, by step of the horizon and by target, of which the median is taken
away: the forecast itself is the median.

Shapes: B windows, L steps of context, H of horizon, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from specrun.tasks.forecasting.arrays import Arrays
from specrun.tasks.forecasting.columns import Floats, Integers
from specrun.tasks.forecasting.ridge import fit

_WINDOWS_AT_ONCE = 64
_WINDOWS_OF_ERRORS = 1_000
"""Windows of train that the quantiles of errors are taken from, evenly spread, where there are more."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is forecast of the context (B, L, Y): (B, H, Y)."""

    name: str
    label: str
    forecast: Callable[[Floats], Floats]


def repeat_last(context_BLY: Floats, *, horizon: int) -> Floats:
    """The last value, for all steps."""
    return np.repeat(context_BLY[:, -1:], horizon, axis=1)


def seasonal_naive(context_BLY: Floats, *, horizon: int, season: int) -> Floats:
    """The value of the same place in the last season that is known."""
    return context_BLY[:, context_BLY.shape[1] - season + np.arange(horizon) % season]


def forecasts(arrays: Arrays, *, context: int, horizon: int, targets: int, season: int) -> Iterator[Forecast]:
    """All there are: without seasonal_naive where the context holds no whole season, or a season is one step."""
    yield Forecast("repeat_last", "last value", lambda given: repeat_last(given, horizon=horizon))
    if 1 < season <= context:
        label = f"value a season before ({season} steps)"
        yield Forecast("seasonal_naive", label, lambda given: seasonal_naive(given, horizon=horizon, season=season))
    ridge = fit(arrays.values[:, :targets], arrays.train_runs, context=context, horizon=horizon)
    if ridge is not None:
        yield Forecast("ridge", f"ridge regression on {context} steps", ridge)


def read_windows(arrays: Arrays, starts: Integers, *, context: int, horizon: int, targets: int) -> Iterator[tuple[slice, Floats, Floats]]:
    """Contexts (B, L, Y) and what followed (B, H, Y), scaled, some at a time, and which of the starts they are."""
    steps = np.arange(context + horizon)
    for first in range(0, len(starts), _WINDOWS_AT_ONCE):
        part = slice(first, min(first + _WINDOWS_AT_ONCE, len(starts)))
        read = arrays.values[:, :targets][starts[part, None] + steps].astype(np.float64)
        yield part, read[:, :context], read[:, context:]


def error_quantiles(it: Forecast, arrays: Arrays, *, quantiles: tuple[float, ...], context: int, horizon: int, targets: int) -> Floats:
    """Quantiles (H, Y, Q) of errors in train, less their median."""
    starts = spread(arrays.starts["train"], _WINDOWS_OF_ERRORS)
    read = read_windows(arrays, starts, context=context, horizon=horizon, targets=targets)
    errors = np.concatenate([actual - it.forecast(given) for _, given, actual in read])
    found: Floats = np.quantile(errors, [*quantiles, 0.5], axis=0)
    return np.moveaxis(found[:-1] - found[-1], 0, -1)


def spread(items: Integers, count: int) -> Integers:
    """So many of the items, evenly spread, in order; all where there are no more."""
    if len(items) <= count:
        return items
    return items[np.arange(count) * len(items) // count]
