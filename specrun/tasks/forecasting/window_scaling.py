"""Windows brought to a level and a spread of their own, by their context alone, and forecasts brought back.

Series drift: what is learned of levels in train does not hold later (Kim et al. 2022, "Reversible instance normalization", without its
learned weights). Shapes: B windows, L steps of context, X columns of the past of which the first Y are targets, H of horizon, Q quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from specrun.runtime.interfaces import ForecastInputs

WindowScaling = Literal["none", "mean", "standard"]
EPSILON = 1e-5
"""Added to the variance: windows without any are not blown up."""


@dataclass(frozen=True, slots=True)
class WindowScale:
    """mean, deviation: (B, 1, X); deviation None: 1."""

    mean: Tensor
    deviation: Tensor | None

    def undone(self, forecast_BHYQ: Tensor) -> Tensor:
        """Forecasts on the scale that the windows came in."""
        targets = forecast_BHYQ.shape[2]
        if self.deviation is not None:
            forecast_BHYQ = forecast_BHYQ * self.deviation[..., :targets, None]
        return forecast_BHYQ + self.mean[..., :targets, None]


def scale_windows(inputs: ForecastInputs, *, scaling: WindowScaling) -> tuple[ForecastInputs, WindowScale | None]:
    """What the model sees, and what undoes it; None where nothing is done."""
    if scaling == "none":
        return inputs, None
    mean_B1X = inputs.past.mean(1, keepdim=True)
    past_BLX, deviation_B1X = inputs.past - mean_B1X, None
    if scaling == "standard":
        deviation_B1X = (past_BLX.square().mean(1, keepdim=True) + EPSILON).sqrt()
        past_BLX = past_BLX / deviation_B1X
    return replace(inputs, past=past_BLX), WindowScale(mean_B1X, deviation_B1X)
