"""Compares quantities of different units, as far as a spec alone allows it."""

from __future__ import annotations

from specrun.spec.document import Spec
from specrun.spec.units import Quantity


def comparable(first: Quantity, second: Quantity, spec: Spec) -> tuple[float, float] | None:
    """Both amounts in one unit; None where only the data relates them (epochs to steps)."""
    if first.unit == second.unit:
        return first.amount, second.amount
    units = {first.unit, second.unit}
    if units <= {"steps", "samples"} or (units <= {"steps", "samples", "tokens"} and spec.task.few_shapes(spec)):
        return _samples(first, spec), _samples(second, spec)
    return None


def in_steps(quantity: Quantity, steps: int, *, about: str = "") -> str:
    """A quantity as it is written, and what it comes to in optimizer steps where it does not say. about: put before an estimate."""
    return str(quantity) if quantity.unit == "steps" else f"{quantity} ({about}{steps:,} step{'' if steps == 1 else 's'})"


def _samples(quantity: Quantity, spec: Spec) -> float:
    match quantity.unit:
        case "steps":
            return quantity.amount * spec.schedule.batch_size
        case "tokens":
            return quantity.amount / spec.task.sample_length(spec)
        case _:
            return quantity.amount
