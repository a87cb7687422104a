"""A straight fall to the final rate."""

from __future__ import annotations

from typing import Literal

from specrun.spec.section import option
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Linear decay from the base rate, which arrives at the final one as the last step ends."""

    kind: Literal["warmup_linear"] = option(impact="weights", description="A straight fall after the warm-up.")
    final_fraction: float = option(0.0, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        return 1 - (1 - self.final_fraction) * min(1.0, step / steps)
