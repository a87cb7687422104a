"""DLinear (Zeng et al. 2023): a moving average and what is left of it, each mapped to the horizon by one matrix.

Shapes: B samples, L steps of the context, H of the horizon, Y targets, Q quantiles of each.
"""

from __future__ import annotations

from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.columns import Columns
from specrun.models.dlinear.options import Options
from specrun.models.forecast_sizes import ForecastSizes
from specrun.models.quantiles import ascending
from specrun.runtime.interfaces import ForecastInputs


def build(options: Options, **sizes: Unpack[ForecastSizes]) -> DLinear:
    """The two maps with random weights from torch's generator."""
    return DLinear(options, sizes)


class DLinear(nn.Module):
    """Forecasts of each target from its own past."""

    def __init__(self, options: Options, sizes: ForecastSizes) -> None:
        super().__init__()
        self.window = options.trend_window
        self.horizon, self.targets, self.quantiles = sizes["horizon"], sizes["targets"], sizes["quantiles"]
        outputs, maps = self.horizon * self.quantiles, self.targets if options.individual else None
        self.remainder, self.trend = (Columns(sizes["context"], outputs, maps=maps) for _ in range(2))

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several targets' maps, one below the other, with the rows of each."""
        return {f"{name}.weight": columns.rows for name, columns in (("remainder", self.remainder), ("trend", self.trend))}

    def forward(self, inputs: ForecastInputs) -> Tensor:
        """Predictions (B, H, Y, Q), quantiles ascending."""
        past_BYL = inputs.past[..., : self.targets].transpose(1, 2)
        # The ends are repeated, so that the average has as many steps as the context.
        before = (self.window - 1) // 2
        padded_BYL = F.pad(past_BYL, (before, self.window - 1 - before), mode="replicate")
        trend_BYL = F.avg_pool1d(padded_BYL, self.window, stride=1)
        ahead = self._mapped(self.remainder, past_BYL - trend_BYL) + self._mapped(self.trend, trend_BYL)
        return ascending(ahead)

    def _mapped(self, columns: Columns, x_BYL: Tensor) -> Tensor:
        """(B, Y, L) to (B, H, Y, Q)."""
        outputs = (self.horizon, self.quantiles, self.targets, len(x_BYL))
        if columns.maps is None:
            found_HQYB: Tensor = columns(x_BYL.permute(2, 1, 0).flatten(1)).view(outputs)
            return found_HQYB.permute(3, 0, 2, 1)
        found_YOB: Tensor = columns(x_BYL.permute(1, 2, 0))
        return torch.unflatten(found_YOB, 1, outputs[:2]).permute(3, 1, 0, 2)
