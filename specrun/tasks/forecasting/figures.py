"""What a report shows of a forecaster on a split: forecasts, errors by target, by step and by origin, calibration, what it looked at.

Shapes: W windows, H steps of horizon, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from specrun.tasks.forecasting import attention, backtest, curves, scores
from specrun.tasks.forecasting.baselines import spread
from specrun.tasks.forecasting.columns import Floats, Integers
from specrun.tasks.forecasting.figure import Figure, rounded

if TYPE_CHECKING:
    from torch import nn

    from specrun.tasks.forecasting.build import Forecasting

_SHOWN_STEPS = 200
"""Of the horizon: more are thinned."""
_SHOWN_TARGETS = 30
_PRECISIONS = {"D": 86_400 * 10**6, "m": 60 * 10**6, "s": 10**6}
"""Microseconds of what times are shown by."""
_TEXT_VALUES = 6
_INTERPRETED = 256
"""Windows that weights are a mean over."""


class Illustration:
    """Of one task on one split."""

    def __init__(self, task: Forecasting, split: str) -> None:
        self.task, self.split, self.options = task, split, task.options
        self.starts = task.arrays.starts[split]
        self._precision = next((unit for unit, size in _PRECISIONS.items() if not (task.arrays.times % size).any()), "us")
        self.names: list[str] = task.facts["names"]["targets"]

    def figures(self, model: nn.Module, sums: Mapping[str, Any], *, between: Callable[[], None]) -> list[Figure]:
        """All there are; a few seconds of forecasts."""
        if not sums["windows"]:
            return []
        looked_at = self.task.interpret(model, spread(self.starts, _INTERPRETED))
        return [
            *curves.figures(self, model, between=between),
            self._by_target(sums),
            self._by_step(sums),
            *backtest.figures(self, model, between=between),
            *self._calibration(sums),
            *attention.figures(looked_at, context=self.options.context, names=self.task.facts["names"]),
        ]

    def texts(self, model: nn.Module, *, count: int, between: Callable[[], None]) -> list[dict[str, Any]]:
        """Forecasts as short texts, of one target after the other."""
        starts = self.evenly(count)
        forecast_WHYQ, (past_WLY, actual_WHY) = self.in_units(model, starts, between=between)
        found = []
        for window, start in enumerate(starts):
            y = window % len(self.names)
            first = [(f"q{quantile:g}: " if quantile != 0.5 else "") + _list(forecast_WHYQ[window, :, y, place])
                     for place, quantile in enumerate(self.options.quantiles)]  # fmt: skip
            asked = f"{self.target_at(start, y)}, {self.options.horizon} steps after {self.moment(start + self.options.context - 1)}"
            found.append({"input": f"{asked}; before: {_list(past_WLY[window, -_TEXT_VALUES:, y])}", "predicted": "; ".join(first),
                          "expected": _list(actual_WHY[window, :, y])})  # fmt: skip
        return found

    def in_units(self, model: nn.Module, starts: Integers, *, between: Callable[[], None]) -> tuple[Floats, tuple[Floats, Floats]]:
        """Forecasts (W, H, Y, Q), and what was before (W, L, Y) and came (W, H, Y), in the targets' units."""
        arrays, length = self.task.arrays, self.options.context + self.options.horizon
        centre, scale, _ = arrays.scales[:, arrays.series_of(starts), None]
        rows = arrays.values[:, : self.task.targets][starts[:, None] + np.arange(length)].astype(np.float64) * scale + centre
        forecast = self.task.predict(model, starts, between=between) * scale[..., None] + centre[..., None]
        return forecast, (rows[:, : self.options.context], rows[:, self.options.context :])

    def moment(self, row: int) -> str | int:
        """The time of a row: ISO 8601, or the number it has."""
        ticks = int(self.task.arrays.times[row])
        if not self.task.facts["dates"]:
            return ticks
        return str(np.datetime64(ticks, "us").astype(f"datetime64[{self._precision}]"))

    def target_at(self, start: int, target: int) -> str:
        """The target of a window, and of which series it is, where there are several."""
        series = self.task.arrays.names[int(self.task.arrays.series_of(np.array([start]))[0])]
        return f"{self.names[target]} ({series})" if series else self.names[target]

    def evenly(self, count: int) -> Integers:
        """Windows in the middle of so many equal parts of the split."""
        count = min(count, len(self.starts))
        return self.starts[(2 * np.arange(count) + 1) * len(self.starts) // (2 * count)]

    def _by_target(self, sums: Mapping[str, Any]) -> Figure:
        told = scores.per_target(sums, loss=self.options.loss)
        names = [name for name in told if name != "loss"]
        labels = type(self.options).metric_labels
        values = sums["windows"] * self.options.horizon
        more = {"width (own units)": np.asarray(sums["width_in_units"]) / values} if "width" in told else {}
        columns = [{"name": "target", "format": "text"},
                   *({"name": labels.get(name, name), "format": "percent" if name == "coverage" else "number"} for name in names),
                   *({"name": name, "format": "number"} for name in more)]  # fmt: skip
        shown = self.names[:_SHOWN_TARGETS]
        judged = [*(told[name] for name in names), *more.values()]
        rows = [[name, *(rounded(of[y]) for of in judged)] for y, name in enumerate(shown)]
        left = f" The first {len(shown)} of {len(self.names)}." if len(self.names) > len(shown) else ""
        return {"id": "by-target", "kind": "table", "title": "Each target", "columns": columns, "rows": rows,
                "caption": f"Over {sums['windows']:,} windows; errors are those of the median.{left}"}  # fmt: skip

    def _by_step(self, sums: Mapping[str, Any]) -> Figure:
        kept = spread(np.arange(self.options.horizon), _SHOWN_STEPS)
        judged = [("the model", sums), *((it.label, of) for it, _, of in self.task.judged_baselines(self.split))]
        series = [{"name": name, "style": "solid",
                   "values": [rounded(value) for value in np.asarray(of["step_error"])[kept] / (of["windows"] * len(self.names))]}
                  for name, of in judged]  # fmt: skip
        return {"id": "by-step", "kind": "lines", "title": "Error by step of the horizon", "x_label": "steps ahead",
                "y_label": "MAE (scaled)", "x": (kept + 1).tolist(), "series": series, "bands": [],
                "caption": "Mean absolute error of the median over all windows and targets, and of the baselines."}  # fmt: skip

    def _calibration(self, sums: Mapping[str, Any]) -> list[Figure]:
        quantiles = self.options.quantiles
        if len(quantiles) < 2:
            return []
        below_Q = np.asarray(sums["below"]).mean(axis=0) / (sums["windows"] * self.options.horizon)
        return [{"id": "calibration", "kind": "lines", "title": "Calibration of the quantiles", "x_label": "quantile",
                 "y_label": "share of values at or below it", "x": list(quantiles), "bands": [],
                 "series": [{"name": "the model", "values": [rounded(value) for value in below_Q], "style": "solid"},
                            {"name": "as it should be", "values": list(quantiles), "style": "dashed"}],
                 "caption": "How many values lie at or below the quantile forecast for them, over all windows and targets."}]  # fmt: skip


def _list(values: Floats) -> str:
    shown = ", ".join(f"{value:.4g}" for value in values[:_TEXT_VALUES])
    return shown + (", …" if len(values) > _TEXT_VALUES else "")
