"""Builds the `synthetic_series` source.

    y(t) = level + season(t mod period) + price_effect price(t) + signal_effect signal(t - 1) + e(t)
    e(t) = autocorrelation e(t - 1) + noise n(t)

level and season are each series' own, price is known ahead, signal is seen as it comes; both and n are standard normal. The best forecast
h steps ahead, who knows all effects and the past, misses by noise^2 (1 - a^2h) / (1 - a^2), and by signal_effect^2 from the second step on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest
from specrun.sources.drawn_rows import drawn_table, generator
from specrun.sources.synthetic_series.options import Options

SIGNAL_EFFECT = 0.4
_TOLD_STEPS = 168
_BEGINS = "2020-01-01"
_SECONDS = {"hour": 3600, "day": 86_400}
_SIZES = ("small", "medium", "large")

Values = npt.NDArray[np.float64]


def build(options: Options, request: SourceRequest) -> LoadedTable:  # noqa: ARG001 - the contract of a source
    """Rows by series, then by time. facts: optimum, mse and mae of each step of a horizon, from the first, on the scale of y."""
    import pyarrow as pa

    names = target_names(options)
    schema = pa.schema([("time", pa.timestamp("s")), ("series", pa.string()), ("size", pa.string()), ("price", pa.float64()),
                        ("signal", pa.float64()), *((name, pa.float64()) for name in names)])  # fmt: skip
    table = drawn_table(schema, options.total_rows, lambda number: _series(options, number), block_rows=options.steps)
    squared = best_squared_errors(options, _TOLD_STEPS)
    errors = {"mse": [float(f"{error:.6g}") for error in squared], "mae": [float(f"{math.sqrt(2 * e / math.pi):.6g}") for e in squared]}
    return LoadedTable({WHOLE: table}, {"optimum": errors, "targets": list(names)})


def target_names(options: Options) -> tuple[str, ...]:
    """Columns to forecast."""
    return ("y",) if options.targets == 1 else tuple(f"y{number + 1}" for number in range(options.targets))


def best_squared_errors(options: Options, horizon: int) -> list[float]:
    """Of the best forecast of each step of a horizon: the variance of what cannot be known."""
    kept = options.autocorrelation**2
    lasting = [options.noise**2 * (1 - kept**step) / (1 - kept) for step in range(1, horizon + 1)]
    return [error + (SIGNAL_EFFECT**2 if step else 0.0) for step, error in enumerate(lasting)]


def _series(options: Options, number: int) -> Mapping[str, Any]:
    steps, targets, effects = options.steps, options.targets, generator(options.seed, 0)
    price_effect = effects.uniform(0.5, 1.0, targets)
    random = generator(options.seed, number + 1)
    size = int(random.integers(len(_SIZES)))
    season = random.normal(size=(options.period, targets))
    season = (season - season.mean(axis=0)) / season.std(axis=0)
    price, signal = random.normal(size=steps), random.normal(size=steps + 1)
    told = 10.0 * (size + 1) + random.normal(size=targets) + np.tile(season, (-(-steps // options.period), 1))[:steps]
    told = told + price[:, None] * price_effect + SIGNAL_EFFECT * signal[:-1, None]
    y = told + _errors(random, steps, targets, options)
    time = np.datetime64(_BEGINS, "s") + np.arange(steps) * np.timedelta64(_SECONDS[options.frequency], "s")
    columns = {"time": time, "series": [f"series {number + 1}"] * steps, "size": [_SIZES[size]] * steps}
    return {**columns, "price": price, "signal": signal[1:], **dict(zip(target_names(options), y.T, strict=True))}


def _errors(random: np.random.Generator, steps: int, targets: int, options: Options) -> Values:
    """An autoregressive process of order 1 from its stationary distribution, (steps, targets)."""
    kept = options.autocorrelation
    errors = random.normal(scale=options.noise, size=(steps, targets))
    errors[0] /= math.sqrt(1 - kept**2)
    for step in range(1, steps):
        errors[step] += kept * errors[step - 1]
    return errors
