"""The best linear models of prepared rows, in float64: ridge regression in closed form, logistic regression at its optimum.

The penalty is half the squared weights, as of scikit-learn's Ridge(alpha=1) and LogisticRegression(C=1), which tests hold them against.
Categories are one-hot. Shapes: B rows, D columns of the design without the constant, Y targets, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from specrun.tasks.tabular.arrays import SplitArrays

MOST_ROWS = 100_000
"""Of more rows, evenly spread ones are fitted on: a linear model learns little from further ones."""
MOST_COLUMNS = 1024
MOST_WEIGHTS = 1 << 15
MOST_WORK = 1 << 26
"""Products of all rows with the weights, so that a fit is a matter of seconds."""
PART_ROWS = 4096
_BESIDE = 8
"""What is computed of a row and an output beside products, as so many of them."""
_MOST_STEPS = 100
_MOST_DIRECTIONS = 500
_GRADIENT_SHARE = 1e-9

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """Numbers as they are, categories one-hot, as far as there is room: those of fewest values first. left_out: columns without room."""

    numbers: int
    categories: tuple[tuple[int, int], ...]
    left_out: int

    @property
    def columns(self) -> int:
        return self.numbers + sum(cardinality for _, cardinality in self.categories)

    def rows(self, arrays: SplitArrays, index: npt.NDArray[np.int64]) -> Values:
        """Rows of the design, (B, D)."""
        found = np.zeros((len(index), self.columns))
        found[:, : self.numbers] = arrays.numbers[index][:, : self.numbers]
        start, row_B = self.numbers, np.arange(len(index))
        for place, cardinality in self.categories:
            found[row_B, start + arrays.categories[index, place]] = 1.0
            start += cardinality
        return found


@dataclass(frozen=True, slots=True)
class Linear:
    """weights: (D + 1, outputs), the constant last. rows: how many it was fitted on."""

    design: Design
    weights: Values
    rows: int

    def outputs(self, arrays: SplitArrays, index: npt.NDArray[np.int64]) -> Values:
        """What it predicts of some rows, (B, outputs)."""
        return np.asarray(self.design.rows(arrays, index) @ self.weights[:-1] + self.weights[-1])


def design(numbers: int, cardinalities: Sequence[int], *, outputs: int = 1) -> Design:
    """What there is room for. outputs: of the model, each with weights of its own."""
    room = min(MOST_COLUMNS, MOST_WEIGHTS // outputs)
    kept_numbers, taken = min(numbers, room), list[tuple[int, int]]()
    room -= kept_numbers
    for place in sorted(range(len(cardinalities)), key=lambda place: (cardinalities[place], place)):
        if cardinalities[place] <= room:
            taken.append((place, cardinalities[place]))
            room -= cardinalities[place]
    return Design(kept_numbers, tuple(sorted(taken)), numbers - kept_numbers + len(cardinalities) - len(taken))


def _chosen(arrays: SplitArrays, work: int) -> npt.NDArray[np.int64]:
    """Rows to fit on. work: products for a row."""
    return np.linspace(0, len(arrays) - 1, min(MOST_ROWS, max(1, MOST_WORK // work), len(arrays))).astype(np.int64)


def ridge(arrays: SplitArrays, form: Design) -> Linear:
    """The least sum of squared errors and of squared weights, but for the constant's. Targets: (rows, Y)."""
    chosen, columns = _chosen(arrays, form.columns + _BESIDE), form.columns
    products, answers = np.zeros((columns + 1, columns + 1)), np.zeros((columns + 1, arrays.targets.shape[1]))
    for part in np.array_split(chosen, -(-len(chosen) // PART_ROWS)):
        rows = np.column_stack([form.rows(arrays, part), np.ones(len(part))])
        products += rows.T @ rows
        answers += rows.T @ arrays.targets[part].astype(np.float64)
    penalty = np.append(np.ones(columns), 0.0)
    return Linear(form, np.asarray(np.linalg.solve(products + np.diag(penalty), answers), dtype=np.float64), len(chosen))


def logistic(arrays: SplitArrays, form: Design, *, num_classes: int) -> Linear:
    """The least sum of negative log-likelihoods and of half the squared weights, but for the constants'. It is convex: Newton's method
    finds the optimum, each of its steps by conjugate gradients (Nocedal & Wright 2006, algorithm 7.1)."""
    chosen = _chosen(arrays, (form.columns + _BESIDE) * num_classes)
    rows_BD = np.column_stack([form.rows(arrays, chosen), np.ones(len(chosen))])
    one_hot_BK = np.zeros((len(chosen), num_classes))
    one_hot_BK[np.arange(len(chosen)), arrays.targets[chosen, 0]] = 1.0
    # Two classes have one difference of weights, which the two share: halves of it have a quarter of its square each.
    penalty_D1 = np.append(np.full(form.columns, 2.0 if num_classes == 2 else 1.0), 0.0)[:, None]
    # From the classes' shares: the optimum where nothing else tells.
    weights_DK = np.zeros((form.columns + 1, num_classes))
    weights_DK[-1] = np.log(np.maximum(one_hot_BK.mean(axis=0), 0.5 / len(chosen)))

    def value(at_DK: Values) -> tuple[float, Values]:
        logits_BK = rows_BD @ at_DK
        logits_BK -= logits_BK.max(axis=1, keepdims=True)
        log_total_B1 = np.log(np.exp(logits_BK).sum(axis=1, keepdims=True))
        loss = (log_total_B1[:, 0] - (logits_BK * one_hot_BK).sum(axis=1)).sum() + 0.5 * (penalty_D1 * at_DK**2).sum()
        return float(loss), np.exp(logits_BK - log_total_B1)

    loss, shares_BK = value(weights_DK)
    for _ in range(_MOST_STEPS):
        gradient_DK = rows_BD.T @ (shares_BK - one_hot_BK) + penalty_D1 * weights_DK
        if np.abs(gradient_DK).max() < _GRADIENT_SHARE * len(chosen):
            break

        def curvature(direction_DK: Values, shares_BK: Values = shares_BK) -> Values:
            moved_BK = rows_BD @ direction_DK
            moved_BK = shares_BK * (moved_BK - (shares_BK * moved_BK).sum(axis=1, keepdims=True))
            return np.asarray(rows_BD.T @ moved_BK + penalty_D1 * direction_DK)

        step_DK, size = _solved(curvature, -gradient_DK), 1.0
        slope = float((gradient_DK * step_DK).sum())
        while (found := value(weights_DK + size * step_DK))[0] > loss + 1e-4 * size * slope and size > 1e-6:
            size /= 2
        weights_DK = weights_DK + size * step_DK
        loss, shares_BK = found
    return Linear(form, weights_DK, len(chosen))


def _solved(product: Callable[[Values], Values], right: Values) -> Values:
    """x of product(x) = right, where product is symmetric and positive: conjugate gradients, the more exact the smaller right is."""
    found, left = np.zeros_like(right), right
    direction, square = left, float((left**2).sum())
    enough = square * min(0.25, square**0.5)
    for _ in range(_MOST_DIRECTIONS):
        if square <= enough:
            break
        along = product(direction)
        share = square / float((direction * along).sum())
        found, left = found + share * direction, left - share * along
        before, square = square, float((left**2).sum())
        direction = left + square / before * direction
    return found
