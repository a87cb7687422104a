"""Compares quantities of different units, as far as a spec alone allows it."""

from __future__ import annotations

from specrun.spec.units import Quantity


def comparable(first: Quantity, second: Quantity, *, batch_size: int, sequence_length: int) -> tuple[float, float] | None:
    """Both amounts in one unit; None where only the data relates them (epochs to steps). sequence_length: tokens a sample."""
    if first.unit == second.unit:
        return first.amount, second.amount
    samples = {"steps": batch_size, "samples": 1.0, "tokens": 1 / sequence_length}
    if first.unit in samples and second.unit in samples:
        return first.amount * samples[first.unit], second.amount * samples[second.unit]
    return None
