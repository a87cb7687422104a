"""How figures are written in reports: four significant digits, grouped thousands, units said. Text only, no HTML.

Every function returns `MISSING` for None, and names what is not finite, rather than print a wrong figure.
"""

from __future__ import annotations

import math

MISSING = "–"
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_COUNT_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"))


def number(value: float | None, *, digits: int = 4) -> str:
    """A measured figure with so many significant digits: 2.131, 58.30, 1,234, 5e-04. Large ones are written 2.723e7."""
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    magnitude = int(f"{value:.{digits - 1}e}".partition("e")[2])
    if magnitude < -3 or magnitude >= max(6, digits):
        return _scientific(value, digits)
    decimals = max(0, digits - 1 - magnitude)
    return _minus(f"{value:,.{decimals}f}")


def rate(value: float | None) -> str:
    """A learning rate as people write it: 0.02, 1e-3, 3.16e-5."""
    if value is None or not math.isfinite(value) or value == 0:
        return number(value)
    return f"{value:.3g}" if abs(value) >= 0.01 else _scientific(value, 3)


def count(value: float | None) -> str:
    """A whole number with grouped thousands: 2,088,628."""
    if value is None or not math.isfinite(value):
        return number(value)
    return _minus(f"{round(value):,}")


def short_count(value: float | None) -> str:
    """A count at a glance: 950, 12,288, 9.96 M, 1.25 B."""
    if value is None or not math.isfinite(value):
        return number(value)
    for size, suffix in _COUNT_UNITS:
        if abs(value) >= size:
            return f"{number(value / size, digits=3)} {suffix}"
    return count(value)


def size(value: float | None) -> str:
    """Bytes in binary units: 512 B, 1.25 GiB."""
    if value is None or not math.isfinite(value):
        return number(value)
    scaled, unit = float(value), 0
    while abs(scaled) >= 1023.5 and unit < len(_BYTE_UNITS) - 1:
        scaled, unit = scaled / 1024, unit + 1
    return f"{count(scaled)} B" if unit == 0 else f"{number(scaled, digits=3)} {_BYTE_UNITS[unit]}"


def duration(seconds: float | None) -> str:
    """A stretch of time in at most two units: 850 ms, 4.2 s, 1m52s, 1h04m, 2d03h."""
    if seconds is None or not math.isfinite(seconds):
        return number(seconds)
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d{hours % 24:02d}h"


def percent(fraction: float | None) -> str:
    """A fraction from 0 to 1 as a percentage: 34.2 %."""
    if fraction is None or not math.isfinite(fraction):
        return number(fraction)
    return f"{number(fraction * 100, digits=3)} %"


def plural(amount: float, noun: str) -> str:
    """A count with its noun: 1 step, 2,000 steps, 3 batches."""
    ending = "" if amount == 1 else ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")
    return f"{count(amount)} {noun}{ending}"


def _scientific(value: float, digits: int) -> str:
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return _minus(f"{mantissa}e{int(exponent)}")


def _minus(text: str) -> str:
    """A true minus sign before digits: a hyphen is too short to see in a column of figures. Exponents keep theirs."""
    return f"−{text[1:]}" if text.startswith("-") else text
