"""Which evaluation was the best, and how long ago. Plain arithmetic; the state is plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrun.errors import SpecrunError


@dataclass(slots=True)
class Best:
    """The best value of a metric so far. min_delta: smallest change that counts as an improvement.

    stale: evaluations since the last improvement. A value that is not finite never improves.
    """

    metric: str
    lower_is_better: bool
    min_delta: float = 0.0
    value: float | None = None
    step: int | None = None
    stale: int = 0

    def update(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Take an evaluation in; whether it improved. Raises: SpecrunError where the metric is not among `metrics`."""
        if self.metric not in metrics:
            there = f"it yields {', '.join(sorted(metrics))}" if metrics else "it yields none"
            raise SpecrunError(
                f"the evaluation at step {step} yields no {self.metric!r}; {there}",
                code="metric-without-value",
                hint="name a metric that it yields in schedule.checkpoint.metric and schedule.early_stopping.metric",
            )
        value = metrics[self.metric]
        improved = math.isfinite(value) and (self.value is None or self._gain(value) > self.min_delta)
        if improved:
            self.value, self.step, self.stale = value, step, 0
        else:
            self.stale += 1
        return improved

    def score(self, value: float) -> float:
        """The value with its sign such that lower is better."""
        return value if self.lower_is_better else -value

    def _gain(self, value: float) -> float:
        assert self.value is not None
        return self.score(self.value) - self.score(value)

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"value": self.value, "step": self.step, "stale": self.stale}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.value, self.step, self.stale = document["value"], document["step"], document["stale"]
