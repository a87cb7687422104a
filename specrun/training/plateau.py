"""How far evaluations that stopped improving have reduced the learning rate. Plain arithmetic; the state is plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrun.training.selection import Best


@dataclass(slots=True)
class Plateau:
    """best: the metric's tracker. patience: evaluations without an improvement before the rate is multiplied by `reduction`, down
    to `min_fraction` of the course. fraction: what it has come to.
    """

    best: Best
    patience: int
    reduction: float
    min_fraction: float
    fraction: float = 1.0

    def update(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Take an evaluation in; whether it reduced the rate. Raises: SpecrunError where it does not give the metric."""
        self.best.update(step, metrics)
        if self.best.stale < self.patience:
            return False
        before, self.best.stale = self.fraction, 0
        self.fraction = max(self.min_fraction, self.fraction * self.reduction)
        return self.fraction < before

    @property
    def told(self) -> str:
        """What a reduction came to, and why."""
        since = f"since step {self.best.step:,}" if self.best.step is not None else "so far"
        least = ", the least there is" if self.fraction == self.min_fraction else ""
        return f"{self.best.metric} has not improved {since}: the learning rate is {self.fraction:.3g} of its course from here on{least}"

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {**self.best.to_json(), "fraction": self.fraction}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.best.restore(document)
        self.fraction = document["fraction"]
