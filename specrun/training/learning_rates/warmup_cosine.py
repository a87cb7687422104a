"""Half a cosine from the base rate to the final rate (Loshchilov & Hutter 2017, without restarts)."""

from __future__ import annotations

import math
from typing import Literal

from specrun.spec.section import option
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Cosine decay from the base rate, which arrives at the final one as the last step ends."""

    kind: Literal["warmup_cosine"] = option(impact="weights", description="Half a cosine after the warm-up.")
    final_fraction: float = option(0.1, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        progress = min(1.0, step / steps)
        return self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * progress))
