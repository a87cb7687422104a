"""Numbers as people read them, in plans, progress, tables, messages and reports: one form for each kind of number. Plain text."""

from __future__ import annotations

import math

_COUNTS = ("", "k", "M", "B", "T")
_BYTES = (" B", " KiB", " MiB", " GiB", " TiB", " PiB")


def number(value: float, *, digits: int = 4) -> str:
    """A measured figure in so many significant digits: 2.131, 58.30, 1,234, 5e-4, 2.723e7; `nan` and `inf` as they are."""
    if not math.isfinite(value) or value == 0:
        return f"{value:.0f}".replace("-0", "0")
    magnitude = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if magnitude < -3 or magnitude >= max(6, digits):
        return _scientific(value, digits)
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def spread(mean: float, deviation: float | None) -> str:
    """A mean and its standard deviation: `3.510 ± 0.02`; `?` for a deviation that figures which are not finite do not have."""
    return f"{number(mean)} ± {'?' if deviation is None else number(deviation, digits=2)}"


def learning_rate(value: float) -> str:
    """A learning rate as people write it: 0.02, 1e-3, 3.16e-5."""
    if not math.isfinite(value) or value == 0:
        return number(value)
    return f"{value:.3g}" if abs(value) >= 0.01 else _scientific(value, 3)


def count(value: float) -> str:
    """A count at a glance, or a rate of things a second: 950, 12.3k, 9.96M, 1.24B."""
    return _scaled(value, 1000, _COUNTS)


def plural(amount: float, noun: str) -> str:
    """A count with its noun, in the number that it asks for: 1 step, 2,000 steps, 3 batches."""
    whole = round(amount)
    ending = "" if whole == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{whole:,} {noun}{ending}"


def size(value: float) -> str:
    """Bytes, of memory and on disk alike: 512 B, 114 MiB, 1.33 GiB."""
    return _scaled(value, 1024, _BYTES)


def seconds(value: float) -> str:
    """A stretch of time in at most two units: 850 ms, 4.2 s, 1m52s, 1h04m, 2d03h."""
    if not math.isfinite(value):
        return number(value)
    if value < 0:
        return f"-{seconds(-value)}"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms" if value >= 0.0005 else "0 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = round(value / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = round(value / 3600)
    return f"{hours // 24}d{hours % 24:02d}h"


def _scaled(value: float, step: int, suffixes: tuple[str, ...]) -> str:
    """Three figures, and the suffix that keeps them below the step once they are rounded."""
    if not math.isfinite(value):
        return number(value)
    power = 0
    while abs(value) >= step - 0.5 and power < len(suffixes) - 1:
        value, power = value / step, power + 1
    return f"{f'{value:.3g}' if power and abs(value) < 999.5 else f'{value:,.0f}'}{suffixes[power]}"


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"
