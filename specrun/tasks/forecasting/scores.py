"""How forecasts are judged: sums over windows that can be added, and the metrics that follow from them.

q-risk: 2 x the sum of the pinball loss over the sum of |actual|, in the target's own units (Lim et al. 2021, "Temporal Fusion
Transformers"); MASE: Hyndman & Koehler 2006; sMAPE in percent, 0 to 200, 0 where both are 0 (Makridakis, the M4 competition).
What is in units is a mean over the targets of each one's own. Errors are those of the median.

Shapes: B windows, H steps of horizon, Y targets, Q quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from specrun.tasks.forecasting.columns import Floats

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scales:
    """Of each window's series: actual = scaled * scale + centre; naive: error of the seasonal naive forecast in train, 0 where there is
    none. All (B, Y)."""

    centre: Tensor
    scale: Tensor
    naive: Tensor


def layout(*, horizon: int, targets: int, quantiles: int) -> dict[str, tuple[int, ...]]:
    """The sums of an evaluation and their shapes, in the order of `measured`."""
    each, both, step = (targets,), (targets, quantiles), (horizon,)
    return {
        "pinball": both, "pinball_in_units": both, "below": both, "error": each, "square": each, "error_in_units": each,
        "square_in_units": each, "absolute": each, "smape": each, "mase": each, "mase_values": each, "inside": each, "width": each,
        "width_in_units": each, "step_error": step, "step_square": step, "step_pinball": step,
    }  # fmt: skip


def pinball(predicted_BHYQ: Tensor, actual_BHY: Tensor, quantiles_Q: Tensor) -> Tensor:
    """Quantile loss (B, H, Y, Q): what lies above a forecast costs its quantile, what lies below the rest (Koenker & Bassett 1978)."""
    above_BHYQ = actual_BHY.unsqueeze(-1) - predicted_BHYQ
    return (above_BHYQ * quantiles_Q).maximum(above_BHYQ * (quantiles_Q - 1))


def measured(predicted_BHYQ: Tensor, actual_BHY: Tensor, scales: Scales, *, quantiles_Q: Tensor, median: int) -> list[Tensor]:
    """Sums over the windows, in the order of `layout`, in float64; what is in units follows from the sums over a window, for a window
    has one scale. predicted and actual are scaled, in float32; median: its place among quantiles."""
    loss_BHYQ = pinball(predicted_BHYQ, actual_BHY, quantiles_Q)
    middle_BHY, low_BHY, high_BHY = (predicted_BHYQ[..., place] for place in (median, 0, -1))
    error_BHY = (middle_BHY - actual_BHY).abs()
    square_BHY = error_BHY.square()
    scale_BY, naive_BY, steps = scales.scale, scales.naive, actual_BHY.shape[1]
    scale_B1Y, centre_B1Y = scale_BY.unsqueeze(1).to(error_BHY.dtype), scales.centre.unsqueeze(1).to(error_BHY.dtype)
    actual_in_units_BHY, middle_in_units_BHY = (of * scale_B1Y + centre_B1Y for of in (actual_BHY, middle_BHY))
    absolute_BHY = actual_in_units_BHY.abs()
    both_BHY = absolute_BHY + middle_in_units_BHY.abs()
    smape_BHY = 200 * error_BHY * scale_B1Y / both_BHY.masked_fill(both_BHY == 0, 1)
    double = scale_BY.dtype
    loss_BYQ, below_BYQ = loss_BHYQ.sum(1, dtype=double), (actual_BHY.unsqueeze(-1) <= predicted_BHYQ).sum(1).double()
    error_BY, square_BY, width_BY = (of.sum(1, dtype=double) for of in (error_BHY, square_BHY, high_BHY - low_BHY))
    absolute_BY, smape_BY = (of.sum(1, dtype=double) for of in (absolute_BHY, smape_BHY))
    inside_BY = ((actual_BHY >= low_BHY) & (actual_BHY <= high_BHY)).sum(1).double()
    judged_BY = (naive_BY > 0).double()
    mase_BY = error_BY * scale_BY * judged_BY / naive_BY.masked_fill(naive_BY <= 0, 1)
    of_windows = [
        loss_BYQ, loss_BYQ * scale_BY.unsqueeze(-1), below_BYQ, error_BY, square_BY, error_BY * scale_BY, square_BY * scale_BY.square(),
        absolute_BY, smape_BY, mase_BY, judged_BY * steps, inside_BY, width_BY, width_BY * scale_BY,
    ]  # fmt: skip
    by_step = [of.sum((0, 2), dtype=double) for of in (error_BHY, square_BHY, loss_BHYQ.mean(-1))]
    return [*(of.sum(0) for of in of_windows), *by_step]


def unpacked(numbers: Sequence[float], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The sums by their names, as nested lists."""
    found, first = dict[str, Any](), 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        found[name] = np.reshape(np.asarray(numbers[first : first + size], dtype=np.float64), shape).tolist()
        first += size
    return found


def per_target(sums: Mapping[str, Any], *, loss: str) -> dict[str, Floats]:
    """Each metric of each target, (Y,), NaN where a target has none. loss: pinball or squared_error."""
    of: dict[str, Floats] = {name: np.asarray(value, dtype=np.float64) for name, value in sums.items()}
    values = of["windows"] * len(of["step_error"])
    if not values:
        return {}
    pinball_Y = of["pinball"].mean(axis=1) / values
    found = {
        "loss": of["square"] / values if loss == "squared_error" else pinball_Y,
        "pinball": pinball_Y,
        "mse": of["square"] / values,
        "mae": of["error"] / values,
        "q_risk": _divided(2 * of["pinball_in_units"].mean(axis=1), of["absolute"]),
        "mase": _divided(of["mase"], of["mase_values"]),
        "smape": of["smape"] / values,
        "mae_in_units": of["error_in_units"] / values,
        "rmse_in_units": np.sqrt(of["square_in_units"] / values),
    }
    if of["pinball"].shape[1] > 1:
        found |= {"coverage": of["inside"] / values, "width": of["width"] / values}
    return found


def metrics(sums: Mapping[str, Any], *, loss: str) -> dict[str, float]:
    """Means over the targets; a metric that no target has is left out: MASE where none varies in train, q-risk where all are 0."""
    told = {name: values_Y[~np.isnan(values_Y)] if name in {"q_risk", "mase"} else values_Y
            for name, values_Y in per_target(sums, loss=loss).items()}  # fmt: skip
    return {name: float(values_Y.mean()) for name, values_Y in told.items() if len(values_Y)}


def _divided(above_Y: Floats, below_Y: Floats) -> Floats:
    """NaN where there is nothing to divide by."""
    found: Floats = np.divide(above_Y, below_Y, out=np.full_like(above_Y, np.nan), where=below_Y != 0)
    return found
