"""What a model that can tell looked at, as figures: steps, and variables.

Shapes: L steps of context, H of horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from specrun.tasks.forecasting.arrays import Array
from specrun.tasks.forecasting.columns import Floats
from specrun.tasks.forecasting.figure import Figure, rounded

_SHOWN_POSITIONS = 400
_SHOWN_VARIABLES = 30


def figures(told: Mapping[str, Array], *, context: int, names: Mapping[str, Sequence[str]]) -> list[Figure]:
    """told: means over windows, as `runtime.interfaces.Interpretable` names them; names: of the columns by their role."""
    known = [*names["known"], *names["known_categories"]]
    variables = {
        "past_variables": ("Variables of the past", [*names["targets"], *names["observed"], *known]),
        "future_variables": ("Variables of the future", known),
        "static_variables": ("Variables of the series", [*names["static"], *names["static_categories"]]),
    }
    found = [_attention(told["attention"], context=context)] if "attention" in told else []
    return found + [_variables(part, title, told[part], of) for part, (title, of) in variables.items() if part in told and of]


def _attention(weights_HT: Floats, *, context: int) -> Figure:
    """Mean over the horizon, and that of its first and last step, by position from the first step forecast."""
    positions = np.arange(weights_HT.shape[1]) - context
    kept = np.arange(0, len(positions), -(-len(positions) // _SHOWN_POSITIONS))
    curves = {"mean of all steps": weights_HT.mean(axis=0), "first step": weights_HT[0], "last step": weights_HT[-1]}
    return {
        "id": "attention", "kind": "lines", "title": "Attention",
        "caption": "How much a forecast attends to each step: 0 is the first one forecast, before it lies the context. Mean over windows.",
        "x_label": "steps from the first one forecast", "y_label": "weight", "x": positions[kept].tolist(), "bands": [],
        "series": [{"name": name, "values": [rounded(weight) for weight in of[kept]], "style": "solid"}
                   for name, of in curves.items()],
    }  # fmt: skip


def _variables(part: str, title: str, weights: Floats, names: Sequence[str]) -> Figure:
    """The largest weights, falling."""
    largest = np.argsort(-weights, kind="stable")[:_SHOWN_VARIABLES]
    return {
        "id": part.replace("_", "-"), "kind": "bars", "title": title, "x_label": "weight of selection",
        "caption": "How much of each the model takes in, mean over windows and steps; all together are 1.",
        "names": [names[place] for place in largest], "values": [rounded(weights[place]) for place in largest],
    }  # fmt: skip
