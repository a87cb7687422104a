"""A fall along a power of what is left."""

from __future__ import annotations

from typing import Literal

from specrun.spec.section import option
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Polynomial decay from the base rate, which arrives at the final one as the last step ends."""

    kind: Literal["polynomial"] = option(impact="weights", description="A fall along a power after the warm-up.")
    power: float = option(
        2.0, impact="weights", description="Exponent of the share of steps that is left; 1 is a straight fall.", gt=0, le=100
    )
    final_fraction: float = option(0.0, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        return float(self.final_fraction + (1 - self.final_fraction) * (1 - min(1.0, step / steps)) ** self.power)
