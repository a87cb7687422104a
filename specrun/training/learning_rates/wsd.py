"""Warm-up, stable, decay (Hu et al. 2024): the base rate for most of the way, then a fall."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from specrun.spec.section import option
from specrun.spec.units import Quantity, Units
from specrun.training.learning_rates._base import WarmUp


class Options(WarmUp):
    """Stable after the warm-up; the last part of the duration decays, straight or with one minus a square root."""

    kind: Literal["wsd"] = option(impact="weights", description="Warm-up, stable, decay.")
    decay: Annotated[Quantity, Units("percent")] = option(
        Quantity(20, "percent"), impact="weights", description="Share of the steps after the warm-up that decays, such as 20%."
    )
    decay_shape: Literal["linear", "sqrt"] = option(
        "linear", impact="weights", description="linear: a straight fall; sqrt: 1 - sqrt(progress), steep at first."
    )
    final_fraction: float = option(0.0, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        decay_steps = max(1, round(steps * min(1.0, self.decay.fraction)))
        progress = min(1.0, max(0.0, (step - (steps - decay_steps)) / decay_steps))
        fall = progress if self.decay_shape == "linear" else math.sqrt(progress)
        return 1 - (1 - self.final_fraction) * fall
