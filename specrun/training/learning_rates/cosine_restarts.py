"""Cosine decay that starts again (Loshchilov & Hutter 2017, SGDR)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from specrun.spec.section import Problem, option
from specrun.training.learning_rates._base import WarmUp

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(WarmUp):
    """Half a cosine from the base rate to the final one, again and again; the last arrives as the last step ends."""

    kind: Literal["cosine_restarts"] = option(impact="weights", description="Half cosines after the warm-up, one after the other.")
    cycles: int = option(2, impact="weights", description="Half cosines in what is left after the warm-up.", ge=1, le=100)
    cycle_growth: float = option(1.0, impact="weights", description="Length of a half cosine relative to the one before.", ge=1, le=10)
    final_fraction: float = option(0.1, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)

    def after_warmup(self, step: int, steps: int) -> float:
        if step >= steps:
            return self.final_fraction
        return self.final_fraction + (1 - self.final_fraction) * 0.5 * (1 + math.cos(math.pi * self._progress(step / steps)))

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if self.cycles == 1 and "cycle_growth" in self.model_fields_set:
            yield Problem((*path, "cycle_growth"), "option-without-effect", "a single cycle follows no other", "remove cycle_growth",
                          severity="warning")  # fmt: skip

    def _progress(self, share: float) -> float:
        """Progress within its cycle of a point of the whole, both 0 to 1. The first n cycles are (g^n - 1) / (g - 1) firsts long."""
        growth = self.cycle_growth
        if growth == 1 or self.cycles == 1:
            return share * self.cycles % 1.0
        firsts = share * (growth**self.cycles - 1) / (growth - 1)
        done = math.floor(math.log(1 + firsts * (growth - 1), growth) + 1e-9)
        return max(0.0, (firsts - (growth**done - 1) / (growth - 1)) / growth**done)
