"""Quantiles in their order, for models of forecasts."""

from __future__ import annotations

from torch import Tensor


def ascending(predictions: Tensor) -> Tensor:
    """Predictions (..., Q) sorted along their last dimension.

    Sorted quantiles are never further from the truth than crossing ones, by pinball loss too (Chernozhukov et al. 2010), and unlike
    sums of positive steps leave each its own linear map: the median does not move with the width of the band.
    """
    return predictions if predictions.shape[-1] == 1 else predictions.sort(-1).values
