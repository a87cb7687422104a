"""Gates: `test/perplexity < 60` as a value that can judge a figure."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from specrun.spec.units import exact

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
}  # fmt: skip
_GATE = r"\s*([A-Za-z][\w.-]*(?:/[\w.-]+)+)\s*(<=|>=|==|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*\Z"


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a metric of the finished run."""

    metric: str
    operator: str
    bound: float

    def evaluate(self, value: float) -> bool:
        """Whether a figure holds. A figure that is not a number never does."""
        return not math.isnan(value) and _OPERATORS[self.operator](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {exact(self.bound)}"


def parse_gate(text: str) -> Gate:
    """Read `metric operator number`. Raises ValueError that says what a gate looks like."""
    match = re.match(_GATE, text)
    if match is None:
        raise ValueError(f"{text!r} is not metric, operator ({', '.join(_OPERATORS)}) and number")
    bound = float(match[3])
    if math.isinf(bound):
        raise ValueError(f"{match[3]} is more than a number can hold")
    return Gate(match[1], match[2], bound)
