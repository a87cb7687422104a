"""One rise and one fall (Smith & Topin 2018), in the form of torch's OneCycleLR."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from specrun.spec.section import Problem, option
from specrun.spec.units import Quantity, Units
from specrun.training.learning_rates._base import WarmUp

if TYPE_CHECKING:
    from specrun.spec.document import Spec


class Options(WarmUp):
    """From a fraction of the base rate up to it during the warm-up, then down, arriving as the last step ends. Momentum stays."""

    kind: Literal["one_cycle"] = option(impact="weights", description="One rise to the base rate, one fall.")
    warmup: Annotated[Quantity, Units("steps", "epochs", "tokens", "samples", "percent", "seconds", positive=False)] = option(
        Quantity(30, "percent"),
        impact="weights",
        description="Length of the rise, such as 500 steps or 30%. A time, such as 10min, where schedule.duration is one: its share of the "
        "duration, by the time of steps.",
    )
    initial_fraction: float = option(
        0.04, impact="weights", description="Rate of the first step as a fraction of the base rate, 0 to 1.", gt=0, le=1
    )
    final_fraction: float = option(0.0, impact="weights", description="Final rate as a fraction of the base rate, 0 to 1.", ge=0, le=1)
    shape: Literal["cosine", "linear"] = option("cosine", impact="weights", description="cosine: half a cosine each way; linear: straight.")

    def factor(self, step: int, *, warmup_steps: int, total_steps: int) -> float:
        if step < warmup_steps:
            return self._between(self.initial_fraction, 1.0, step / warmup_steps)
        return super().factor(step, warmup_steps=warmup_steps, total_steps=total_steps)

    def after_warmup(self, step: int, steps: int) -> float:
        return self._between(1.0, self.final_fraction, min(1.0, step / steps))

    def problems(self, spec: Spec, path: tuple[str | int, ...]) -> Iterator[Problem]:
        if not self.warmup.amount and "initial_fraction" in self.model_fields_set:
            yield Problem((*path, "initial_fraction"), "option-without-effect", "without a warm-up the rate does not rise",
                          "remove initial_fraction, or use warmup: 30%", severity="warning")  # fmt: skip

    def _between(self, start: float, end: float, progress: float) -> float:
        share = progress if self.shape == "linear" else (1 - math.cos(math.pi * progress)) / 2
        return start + (end - start) * share
