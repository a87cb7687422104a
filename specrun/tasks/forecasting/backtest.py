"""Forecasts from a rolling origin: the same model from one moment after the other, as it would have been used, each judged for itself.

Shapes: W windows, H steps of horizon, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from specrun.tasks.forecasting.baselines import spread
from specrun.tasks.forecasting.columns import Floats, Integers
from specrun.tasks.forecasting.figure import Figure, rounded

if TYPE_CHECKING:
    from torch import nn

    from specrun.tasks.forecasting.figures import Illustration

_MOST_SERIES = 200
"""Of one origin: of more, so many are judged."""


def origins(times: Integers, *, every: int, count: int) -> Integers:
    """The last origins of a split, ascending, counted back from the last one. times: of the first step forecast of each window."""
    moments = np.unique(times)
    return moments[::-1][::every][:count][::-1]


def figures(shown: Illustration, model: nn.Module, *, between: Callable[[], None]) -> list[Figure]:
    """A table by origin, with the repeated last value and the last season beside."""
    arrays, options = shown.task.arrays, shown.options
    times = arrays.times[shown.starts + options.context]
    every = options.backtest.every or options.horizon
    chosen = origins(times, every=every, count=options.backtest.origins)
    windows = [spread(shown.starts[times == moment], _MOST_SERIES) for moment in chosen]
    starts = np.concatenate(windows)
    forecast_WHYQ = shown.task.predict(model, starts, between=between)
    rows = arrays.values[:, : shown.task.targets][starts[:, None] + np.arange(options.context + options.horizon)].astype(np.float64)
    actual_WHY = rows[:, options.context :]
    errors = {"model": np.abs(forecast_WHYQ[..., shown.task.median] - actual_WHY)}
    for it, _, _ in shown.task.judged_baselines(shown.split):
        errors[it.label] = np.abs(it.forecast(rows[:, : options.context]) - actual_WHY)
    inside_WHY = (actual_WHY >= forecast_WHYQ[..., 0]) & (actual_WHY <= forecast_WHYQ[..., -1])
    covered = [("coverage", "percent", inside_WHY)] if len(options.quantiles) > 1 else []
    told: list[tuple[str, str, Floats]] = [*((f"MAE, {name}", "number", of) for name, of in errors.items()), *covered]
    several = len(arrays.names) > 1
    columns = [{"name": "first step", "format": "text"}, *([{"name": "series", "format": "count"}] if several else []),
               *({"name": name, "format": form} for name, form, _ in told)]  # fmt: skip
    table, first = [], 0
    for of in windows:
        part = slice(first, first + len(of))
        table.append([str(shown.moment(int(of[0]) + options.context)), *([len(of)] if several else []),
                      *(rounded(float(values[part].mean())) for _, _, values in told)])  # fmt: skip
        first += len(of)
    return [{"id": "backtest", "kind": "table", "title": "Backtest from a rolling origin", "columns": columns, "rows": table,
             "caption": f"The last {len(chosen)} origins, {every} steps apart, {options.horizon} steps forecast from each by the one "
             "model; mean absolute error of scaled values over all targets."}]  # fmt: skip
