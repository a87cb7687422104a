"""How figures are set in reports: as everywhere else (`plan.figures`), with a true minus and words for what is no figure.

Every function returns `MISSING` for None, and names what is not finite, rather than print a wrong figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from specrun.plan import figures

MISSING = "–"


def number(value: float | None, *, digits: int = 4) -> str:
    """A measured figure with so many significant digits: 2.131, 58.30, 1,234, 5e-4. Large ones are written 2.723e7."""
    return _set(value, lambda finite: figures.number(finite, digits=digits))


def rate(value: float | None) -> str:
    """A learning rate as people write it: 0.02, 1e-3, 3.16e-5."""
    return _set(value, figures.learning_rate)


def count(value: float | None) -> str:
    """A whole number with grouped thousands: 2,088,628."""
    return _set(value, lambda finite: f"{round(finite):,}")


def short_count(value: float | None) -> str:
    """A count at a glance: 950, 12.3k, 9.96M, 1.25B."""
    return _set(value, figures.count)


def size(value: float | None) -> str:
    """Bytes in binary units: 512 B, 1.25 GiB."""
    return _set(value, figures.size)


def duration(seconds: float | None) -> str:
    """A stretch of time in at most two units: 850 ms, 4.2 s, 1m52s, 1h04m, 2d03h."""
    return _set(seconds, figures.seconds)


def percent(fraction: float | None) -> str:
    """A fraction from 0 to 1 as a percentage: 34.2 %."""
    return _set(fraction, lambda finite: f"{number(finite * 100, digits=3)} %")


def plural(amount: float, noun: str) -> str:
    """A count with its noun: 1 step, 2,000 steps, 3 batches."""
    return figures.plural(amount, noun)


def _set(value: float | None, write: Callable[[float], str]) -> str:
    """The figure with a true minus sign before its digits: a hyphen is too short to see in a column. Exponents keep theirs."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    text = write(value)
    return f"−{text[1:]}" if text.startswith("-") else text
