"""Numbers as people read them: durations, bytes, counts. Used by plans, progress and messages."""

from __future__ import annotations


def seconds(value: float) -> str:
    """A duration: 0.4 s, 12 s, 4m40s, 2h05m, 3d04h."""
    if value < 10:
        return f"{value:.1f} s" if value >= 0.05 else "0 s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def count(value: float) -> str:
    """A count: 950, 12.3k, 9.96M, 1.24B."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.99995:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.0f}"


def size(value: float) -> str:
    """Bytes: 512 B, 120 MB, 1.3 GB, in powers of ten."""
    for unit, suffix in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit * 0.9995:
            return f"{value / unit:.3g} {suffix}"
    return f"{value:.0f} B"


def rate(value: float) -> str:
    """Things a second: 950, 28.4k."""
    return count(value)


def metric(value: float) -> str:
    """A metric's value, four significant figures, scientific where it is very small or large."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.2e}"
