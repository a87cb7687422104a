"""How predicted numbers are judged: sums of errors, metrics from them, and what a report shows.

Shapes: B rows, Y targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.tasks.tabular.encoding import Target

SUMS = ("loss", "absolute", "squared", "target", "target_squared")
"""Of each target: the loss; absolute and squared errors; standardised values, and their squares. In this order on the device."""
SHOWN_POINTS = 300
_SHOWN_ERRORS = 20
_PARTS = 10

Values = npt.NDArray[np.float64]


def sums_of(totals: Sequence[float], predictions: int, targets: Sequence[Target]) -> dict[str, Any]:
    """Plain JSON on the scale of the targets, centred at the train split's mean. totals: of standardised values, (5, Y) flat."""
    of = dict(zip(SUMS, np.reshape(totals, (len(SUMS), len(targets))), strict=True))
    std_Y = np.asarray([target.std for target in targets])
    powers = {"loss": 0, "absolute": 1, "squared": 2, "target": 1, "target_squared": 2}
    return {"predictions": predictions, **{name: (of[name] * std_Y**power).tolist() for name, power in powers.items()}}


def errors(outputs_BY: Values, targets_BY: Values) -> Values:
    """Totals of standardised values under the squared loss, (5, Y)."""
    error_BY = outputs_BY - targets_BY
    return np.stack([of.sum(axis=0) for of in (error_BY**2, np.abs(error_BY), error_BY**2, targets_BY, targets_BY**2)])


def metrics(sums: Mapping[str, Any]) -> dict[str, float]:
    """Mean over targets of: loss, of standardised values; mae and rmse in the target's unit; r2, the share of variance explained, where
    there is any."""
    rows = sums["predictions"]
    if not rows:
        return {}
    squared_Y, variation_Y = np.asarray(sums["squared"]), np.asarray(sums["target_squared"]) - np.asarray(sums["target"]) ** 2 / rows
    found = {
        "loss": float(np.mean(sums["loss"]) / rows),
        "mae": float(np.mean(sums["absolute"]) / rows),
        "rmse": float(np.sqrt(squared_Y / rows).mean()),
    }
    # Rounding leaves a little variation where all targets are the same.
    if (variation_Y > 1e-12 * np.asarray(sums["target_squared"])).all():
        found["r2"] = float((1 - squared_Y / variation_Y).mean())
    return found


def figures(
    sums: Mapping[str, Any], targets: Sequence[Target], *, predicted: Values, actual: Values, rows: Sequence[int]
) -> list[dict[str, Any]]:
    """Predicted against actual, errors along the range of the target, and the largest errors, for the first target; errors of each where
    there are several. predicted, actual: (B, Y) on their own scale, some rows; rows: their numbers in the source."""
    name, truth_B, error_B = targets[0].name, actual[:, 0], predicted[:, 0] - actual[:, 0]
    shown = [_points(name, predicted[:, 0], truth_B), _along(name, truth_B, error_B), _largest(name, predicted[:, 0], truth_B, rows)]
    return [_each(sums, targets), *shown] if len(targets) > 1 else shown


def _points(name: str, predicted_B: Values, truth_B: Values) -> dict[str, Any]:
    chosen = np.linspace(0, len(truth_B) - 1, min(SHOWN_POINTS, len(truth_B))).astype(int)
    chosen = chosen[np.argsort(truth_B[chosen], kind="stable")]
    truth = [_round(value) for value in truth_B[chosen]]
    return {
        "id": "predicted", "kind": "lines", "title": f"Predicted and actual {name}", "x_label": f"actual {name}",
        "y_label": f"predicted {name}", "caption": "A point a row; on the dashed line a prediction is exact.", "x": truth,
        "series": [{"name": "model", "values": [_round(value) for value in predicted_B[chosen]], "style": "points"},
                   {"name": "exact", "values": truth, "style": "dashed"}],
        "bands": [],
    }  # fmt: skip


def _along(name: str, truth_B: Values, error_B: Values) -> dict[str, Any]:
    """Errors in tenths of the rows by their actual value."""
    order = np.argsort(truth_B, kind="stable")
    rows = [
        [len(part), *map(_round, (truth_B[part[0]], truth_B[part[-1]], error_B[part].mean(), np.abs(error_B[part]).mean()))]
        for part in np.array_split(order, min(_PARTS, len(order)))
    ]
    columns = [{"name": "rows", "format": "count"}, *({"name": label, "format": "number"} for label in
               (f"{name} from", "to", "mean error", "mean absolute error"))]  # fmt: skip
    return {"id": "residuals", "kind": "table", "title": "Errors along the target", "columns": columns, "rows": rows,
            "caption": "Rows in tenths by their actual value. A mean error above 0: predictions are too high there."}  # fmt: skip


def _largest(name: str, predicted_B: Values, truth_B: Values, numbers: Sequence[int]) -> dict[str, Any]:
    worst = np.argsort(-np.abs(predicted_B - truth_B), kind="stable")[:_SHOWN_ERRORS]
    rows = [[int(numbers[b]), *(_round(value) for value in (truth_B[b], predicted_B[b], predicted_B[b] - truth_B[b]))] for b in worst]
    columns = [{"name": "row", "format": "count"}, *({"name": label, "format": "number"} for label in
               (f"actual {name}", "predicted", "error"))]  # fmt: skip
    return {"id": "largest-errors", "kind": "table", "title": "Largest errors", "columns": columns, "rows": rows,
            "caption": "The rows that are predicted worst, by their place in the source."}  # fmt: skip


def _each(sums: Mapping[str, Any], targets: Sequence[Target]) -> dict[str, Any]:
    rows = []
    for place, target in enumerate(targets):
        alone = {name: [sums[name][place]] for name in SUMS} | {"predictions": sums["predictions"]}
        found = metrics(alone)
        rows.append([target.name, *(_round(found.get(name, np.nan)) for name in ("mae", "rmse", "r2"))])
    columns = [{"name": "target", "format": "text"}, *({"name": label, "format": "number"} for label in
               ("mean absolute error", "root mean squared error", "R²"))]  # fmt: skip
    return {"id": "targets", "kind": "table", "title": "Targets", "columns": columns, "rows": rows,
            "caption": "Errors of each target in its own unit; the metrics are their means."}  # fmt: skip


def _round(value: float) -> float | None:
    """Six digits: more is read by no one. None for what is not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
