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

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take an evaluation in. Raises: SpecrunError where it does not give the metric."""
        self.best.update(step, metrics)
        if self.best.stale >= self.patience:
            self.fraction = max(self.min_fraction, self.fraction * self.reduction)
            self.best.stale = 0

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {**self.best.to_json(), "fraction": self.fraction}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.best.restore(document)
        self.fraction = document["fraction"]
