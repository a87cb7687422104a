"""What every course of the learning rate shares: warm-up, and the protocol."""

from __future__ import annotations

from typing import Annotated, ClassVar

from specrun.spec.section import Part, option
from specrun.spec.units import Quantity, Units


class WarmUp(Part):
    """A linear rise from near 0 to the base rate, then the course of the kind. Steps count from 0."""

    factory: ClassVar[str] = ""
    warmup: Annotated[Quantity, Units("steps", "epochs", "tokens", "samples", "percent", positive=False)] = option(
        Quantity(0, "steps"), impact="weights", description="Length of the linear rise, such as 500 steps or 2%."
    )

    def factor(self, step: int, *, warmup_steps: int, total_steps: int) -> float:
        """The learning rate of optimizer step `step` (from 0), as a fraction of the base rate. total_steps: the whole duration."""
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return self.after_warmup(step - warmup_steps, max(1, total_steps - warmup_steps))

    def after_warmup(self, step: int, steps: int) -> float:
        """The factor `step` steps after the warm-up, of `steps` that remain."""
        raise AssertionError("a kind defines its course")


def progress(step: int, steps: int) -> float:
    """How far a course of `steps` steps has come at its step `step`: 0 at the first (and before it), 1 at the last (and beyond).

    A course of one step stays at 0, so that a training of a single step learns.
    """
    return min(1.0, max(0, step) / (steps - 1)) if steps > 1 else 0.0
