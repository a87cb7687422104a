"""What every course of the learning rate shares: warm-up, and the protocol."""

from __future__ import annotations

from typing import Annotated, ClassVar

from specrun.spec.section import Part, option
from specrun.spec.units import Quantity, Units


class WarmUp(Part):
    """A linear rise from near 0 to the base rate, then the course of the kind. Steps count from 0.

    A course takes as many strides as there are steps: it arrives when the last step is done, as in transformers' schedules, so that no
    step is spent at the final rate (which may be 0).
    """

    factory: ClassVar[str] = ""
    warmup: Annotated[Quantity, Units("steps", "epochs", "tokens", "samples", "percent", "seconds", positive=False)] = option(
        Quantity(0, "steps"),
        impact="weights",
        description="Length of the linear rise, such as 500 steps or 2%. A time, such as 10min, where schedule.duration is one: its share "
        "of the duration, by the time of steps.",
    )

    def factor(self, step: int, *, warmup_steps: int, total_steps: int) -> float:
        """The learning rate of optimizer step `step` (from 0), as a fraction of the base rate. total_steps: the whole duration."""
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return self.after_warmup(step - warmup_steps, max(1, total_steps - warmup_steps))

    def after_warmup(self, step: int, steps: int) -> float:
        """The factor `step` steps after the warm-up, of `steps` that remain."""
        raise AssertionError("a kind defines its course")
