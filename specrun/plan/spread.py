"""Over how many processes a training is spread, for predictions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """devices: of each machine, a process each; nodes: machines; sharded: whether each holds a share of weights, gradients, moments."""

    devices: int = 1
    nodes: int = 1
    sharded: bool = False

    @property
    def workers(self) -> int:
        return self.devices * self.nodes


ON_ONE = Spread()
