"""A fall with the square root of the steps done (Vaswani et al. 2017), which needs no end to be known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from specrun.spec.section import option
from specrun.training.learning_rates._base import WarmUp

if TYPE_CHECKING:
    from specrun.spec.document import Spec

WITHOUT_WARMUP = 10_000
"""Steps of the time scale where neither it nor a warm-up is given, as in transformers."""


class Options(WarmUp):
    """1 / sqrt(1 + steps after the warm-up / time scale): half the base rate after three time scales."""

    kind: Literal["inverse_square_root"] = option(impact="weights", description="A fall with the square root of the steps.")
    timescale_steps: int | None = option(
        None,
        impact="weights",
        description="Time scale of the fall, in optimizer steps; absent means as many as the warm-up has, 10000 without one.",
        ge=1,
        le=10**12,
    )

    def factor(self, step: int, *, warmup_steps: int, total_steps: int) -> float:
        if step < warmup_steps:
            return super().factor(step, warmup_steps=warmup_steps, total_steps=total_steps)
        return 1 / math.sqrt(1 + (step - warmup_steps) / (self.timescale_steps or warmup_steps or WITHOUT_WARMUP))

    def derived(self, spec: Spec) -> Mapping[str, int | str]:
        if self.timescale_steps is not None:
            return {}
        return {"timescale_steps": "the warm-up, in steps" if self.warmup.amount else WITHOUT_WARMUP}
