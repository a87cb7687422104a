"""Builds the `synthetic_table` source: independent columns, a function of them whose variance is known in closed form, and noise.

Shapes: B rows, N numbers, G categories, V values of a category, K classes, or 1 for a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.sources.contract import WHOLE, LoadedTable, SourceRequest
from specrun.sources.drawn_rows import BLOCK_ROWS, drawn_table, generator
from specrun.sources.synthetic_table.options import Options

LOCATION, SCALE = 100.0, 25.0
"""Mean and standard deviation of a y that is a number."""
_WAVE_VARIANCE = (1 - math.exp(-8)) / 2
"""Of sin(2 x), x standard normal."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """What y depends on: outputs of mean 0 and variance 1. numbers: (N, K); categories: (G, V, K)."""

    numbers: Values
    categories: Values

    def outputs(self, numbers_BN: Values, codes_BG: npt.NDArray[np.int64]) -> Values:
        """The part of y, or of its classes' scores, that the columns tell, (B, K)."""
        found_BK: Values = shapes(numbers_BN) @ self.numbers
        for place, effects_VK in enumerate(self.categories):
            found_BK = found_BK + effects_VK[codes_BG[:, place]]
        return found_BK


def shapes(numbers_BN: Values) -> Values:
    """By turns linear, a wave, a step; each of mean 0 and variance 1 for a standard normal number."""
    found_BN = numbers_BN.copy()
    found_BN[:, 1::3] = np.sin(2 * numbers_BN[:, 1::3]) / math.sqrt(_WAVE_VARIANCE)
    found_BN[:, 2::3] = np.sign(numbers_BN[:, 2::3])
    return found_BN


def truth(options: Options) -> Truth:
    """Drawn so that the variances of the columns' parts add up to 1."""
    outputs = options.classes if options.objective == "classification" else 1
    random = generator(options.seed, 0)
    numbers_NK = random.uniform(0.5, 1.5, (options.numbers, outputs)) * random.choice([-1.0, 1.0], (options.numbers, outputs))
    categories_GVK = random.normal(size=(options.categories, options.values, outputs))
    categories_GVK -= categories_GVK.mean(axis=1, keepdims=True)
    variance_K = (numbers_NK**2).sum(axis=0) + (categories_GVK**2).mean(axis=1).sum(axis=0)
    return Truth(numbers_NK / np.sqrt(variance_K), categories_GVK / np.sqrt(variance_K))


def build(options: Options, request: SourceRequest) -> LoadedTable:  # noqa: ARG001 - the contract of a source
    """facts: optimum, what the best prediction scores. Of a number: rmse, mae and r2 in closed form. Of classes: loss and accuracy of the
    true probabilities, their mean over the rows."""
    import pyarrow as pa

    behind = truth(options)
    fields = [(f"x{n + 1}", pa.float64()) for n in range(options.numbers)] + [(f"c{g + 1}", pa.string()) for g in range(options.categories)]
    schema = pa.schema([*fields, ("y", pa.float64() if options.objective == "regression" else pa.string())])
    table = drawn_table(schema, options.rows, lambda number: _columns(options, behind, number))
    return LoadedTable({WHOLE: table}, {"optimum": _optimum(options, behind)})


def _inputs(options: Options, number: int) -> tuple[np.random.Generator, Values, npt.NDArray[np.int64]]:
    random = generator(options.seed, number + 1)
    numbers_BN = random.normal(size=(BLOCK_ROWS, options.numbers))
    return random, numbers_BN, random.integers(options.values, size=(BLOCK_ROWS, options.categories))


def _columns(options: Options, behind: Truth, number: int) -> Mapping[str, Any]:
    random, numbers_BN, codes_BG = _inputs(options, number)
    told_BK = behind.outputs(numbers_BN, codes_BG)
    if options.objective == "regression":
        noise = math.sqrt(options.noise)
        y: Any = LOCATION + SCALE * (math.sqrt(1 - options.noise) * told_BK[:, 0] + noise * random.normal(size=BLOCK_ROWS))
    else:
        # The largest of scores with Gumbel noise is drawn from their softmax (Gumbel 1954).
        y = [f"class {k + 1}" for k in (_sharpness(options) * told_BK + random.gumbel(size=told_BK.shape)).argmax(axis=1)]
    columns: dict[str, Any] = {f"x{n + 1}": numbers_BN[:, n] for n in range(options.numbers)}
    columns |= {f"c{g + 1}": [f"v{code + 1}" for code in codes_BG[:, g]] for g in range(options.categories)}
    return {**columns, "y": y}


def _sharpness(options: Options) -> float:
    """Of the classes' scores, so that Gumbel noise has its share of the variance."""
    return math.sqrt((1 - options.noise) / options.noise * math.pi**2 / 6)


def _optimum(options: Options, behind: Truth) -> dict[str, float]:
    if options.objective == "regression":
        rmse = SCALE * math.sqrt(options.noise)
        return {"rmse": rmse, "mae": rmse * math.sqrt(2 / math.pi), "r2": 1 - options.noise}
    loss = accuracy = 0.0
    for number, start in enumerate(range(0, options.rows, BLOCK_ROWS)):
        _, numbers_BN, codes_BG = _inputs(options, number)
        scores_BK = (_sharpness(options) * behind.outputs(numbers_BN, codes_BG))[: options.rows - start]
        shares_BK = np.exp(scores_BK - scores_BK.max(axis=1, keepdims=True))
        shares_BK /= shares_BK.sum(axis=1, keepdims=True)
        accuracy += float(shares_BK.max(axis=1).sum())
        loss -= float((shares_BK * np.log(np.maximum(shares_BK, 1e-300))).sum())
    return {"loss": loss / options.rows, "accuracy": accuracy / options.rows}
