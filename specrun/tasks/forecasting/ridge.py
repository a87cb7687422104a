"""A linear map from the last values to the next ones, in closed form.

One map for all targets and series, each by itself (channel-independent, as in Zeng et al. 2023, "Are transformers effective for time
series forecasting?", and Toner & Darlow 2024, "An analysis of linear time series forecasting models"): of all windows of train, that
which minimises the mean squared error plus 0.001 of the mean square of a lag times the squared weights; the bias is not penalised. Each
target counts by the inverse of its variance.

Shapes: L steps of context, H of horizon, S = L + H, R rows of a stretch, Y targets, B windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from specrun.tasks.forecasting.columns import Floats, Integers

PENALTY = 1e-3


@dataclass(frozen=True, slots=True)
class Ridge:
    """weights: (L, H); bias: (H,), in deviations of the target from its mean in train."""

    weights: Floats
    bias: Floats
    means: Floats
    deviations: Floats

    def __call__(self, context_BLY: Floats) -> Floats:
        """Forecasts (B, H, Y)."""
        standard_BYL = ((context_BLY - self.means) / self.deviations).transpose(0, 2, 1)
        forecast_BYH = standard_BYL @ self.weights + self.bias
        found: Floats = forecast_BYH.transpose(0, 2, 1) * self.deviations + self.means
        return found


def fit(values_RY: Floats, runs: Integers, *, context: int, horizon: int) -> Ridge | None:
    """The map of least penalised squared error over every window of the stretches, each [first, end); None where there is no window.

    values: of all rows. Solved by its normal equations in float64.
    """
    size = context + horizon
    runs = runs[runs[:, 1] - runs[:, 0] >= size]
    if not len(runs):
        return None
    rows = np.concatenate([values_RY[first:end] for first, end in runs]).astype(np.float64)
    means, deviations = rows.mean(axis=0), rows.std(axis=0)
    deviations[deviations == 0] = 1.0
    stretches = ((values_RY[first:end, y] - means[y]) / deviations[y] for first, end in runs for y in range(values_RY.shape[1]))
    gram_SS, sums_S, count = _moments(stretches, size)
    lags_LL = gram_SS[:context, :context]
    left = np.zeros((context + 1, context + 1))
    left[:context, :context] = lags_LL
    left[:context, context] = left[context, :context] = sums_S[:context]
    left[context, context] = count
    penalty = PENALTY * lags_LL.trace() / context
    left[np.arange(context), np.arange(context)] += penalty if penalty > 0 else 1.0
    right = np.concatenate([gram_SS[:context, context:], sums_S[None, context:]])
    solved = np.linalg.solve(left, right)
    return Ridge(solved[:-1], solved[-1], means, deviations)


def _moments(stretches: Iterable[Floats], size: int) -> tuple[Floats, Floats, int]:
    """Sums over all windows of `size` values of their products, (S, S), of their values, (S,), and how many windows there are.

    Windows overlap: product (i + 1, j + 1) of a stretch is product (i, j) without its first summand and with one more, so that a row
    of products and the ends of the stretch give them all, in O(R S + S²) for O(R S²).
    """
    gram, sums, count = np.zeros((size, size)), np.zeros(size), 0
    i, j = np.triu_indices(size)
    for stretch in stretches:
        x_R = np.asarray(stretch, dtype=np.float64)
        windows = len(x_R) - size + 1
        first_row_S = np.correlate(x_R, x_R[:windows], "valid")
        begin, end = x_R[: size - 1], x_R[windows:]
        change = np.outer(end, end) - np.outer(begin, begin)  # of the product of values s and t, from row s to s + 1
        gram[i, j] += first_row_S[j - i] + _along_diagonals(change)[i, j]
        total_R = np.concatenate([[0.0], np.cumsum(x_R)])
        sums += total_R[windows : windows + size] - total_R[:size]
        count += windows
    gram[j, i] = gram[i, j]
    return gram, sums, count


def _along_diagonals(change: Floats) -> Floats:
    """(S, S) of which (i, i + k) is the sum of (s, s + k) over s < i, for k >= 0."""
    size = len(change) + 1
    found = np.zeros((size, size))
    for row in range(1, size):
        found[row, row:] = found[row - 1, row - 1 : -1] + change[row - 1, row - 1 :]
    return found
