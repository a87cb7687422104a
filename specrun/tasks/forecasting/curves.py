"""Forecasts drawn beside what came: the median, the band of the outermost quantiles, and the last season again.

Shapes: W windows, L steps of context, H of horizon, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from specrun.tasks.forecasting.baselines import seasonal_naive
from specrun.tasks.forecasting.columns import Floats
from specrun.tasks.forecasting.figure import Figure, rounded

if TYPE_CHECKING:
    from torch import nn

    from specrun.tasks.forecasting.figures import Illustration

_FORECASTS = 4
_FEWEST_BEFORE = 24
_STEPS = 200
"""Of a curve: of more, each second, third and so on is drawn."""


def figures(shown: Illustration, model: nn.Module, *, between: Callable[[], None]) -> list[Figure]:
    """One target after the other, from moments evenly spread over the split."""
    starts = shown.evenly(max(2, min(_FORECASTS, len(shown.names))))
    forecast_WHYQ, (past_WLY, actual_WHY) = shown.in_units(model, starts, between=between)
    found = []
    for number, start in enumerate(starts):
        y = number % len(shown.names)
        figure = _figure(shown, int(start), forecast_WHYQ[number, :, y], past_WLY[number, :, y], actual_WHY[number, :, y])
        title = f"Forecast of {shown.target_at(int(start), y)}"
        found.append({"id": f"forecast-{number + 1}", "title": title, "y_label": shown.names[y], **figure})
    return found


def _figure(shown: Illustration, start: int, forecast_HQ: Floats, past_L: Floats, actual_H: Floats) -> Figure:
    context, horizon, quantiles = shown.options.context, shown.options.horizon, shown.options.quantiles
    before = min(context, max(2 * horizon, _FEWEST_BEFORE))
    steps = before + horizon
    kept = np.arange(steps - 1, -1, -max(1, -(-steps // _STEPS)))[::-1]

    def curve(name: str, values: Floats, style: str = "solid") -> Figure:
        return {"name": name, "style": style, "values": _drawn(values, kept, steps)}

    series = [curve("actual", np.concatenate([past_L[context - before :], actual_H])), curve("forecast", forecast_HQ[:, shown.task.median])]
    season = int(shown.task.facts["season"])
    if 1 < season <= context:
        series.append(curve("a season before", seasonal_naive(past_L[None, :, None], horizon=horizon, season=season)[0, :, 0], "dashed"))
    bands = []
    if len(quantiles) > 1:
        low, high = (_drawn(forecast_HQ[:, place], kept, steps) for place in (0, -1))
        bands = [{"name": f"{quantiles[0]:g} to {quantiles[-1]:g}", "lower": low, "upper": high}]
    return {
        "kind": "lines", "x_label": "time", "series": series, "bands": bands,
        "x": [shown.moment(int(row)) for row in start + context - before + kept],
        "caption": f"{horizon} steps from {shown.moment(start + context)} on, in the target's units, and the {before} steps before.",
    }  # fmt: skip


def _drawn(values: Floats, kept: np.ndarray[tuple[int], np.dtype[np.int64]], steps: int) -> list[float | None]:
    """The last of the steps, nothing before."""
    whole = np.concatenate([np.full(steps - len(values), np.nan), values])
    return [rounded(value) for value in whole[kept]]
