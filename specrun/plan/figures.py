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
    return _scaled(value, "", ("k", "M", "B", "T"))


def size(value: float) -> str:
    """Bytes: 512 B, 120 MB, 1.3 GB, in powers of ten."""
    return _scaled(value, " B", (" kB", " MB", " GB", " TB"))


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


def _scaled(value: float, plain: str, suffixes: tuple[str, ...]) -> str:
    """Three figures and the suffix of the power of 1000 that keeps them below 1000 once they are rounded."""
    if abs(round(value)) < 1000:
        return f"{value:.0f}{plain}"
    for power, suffix in enumerate(suffixes, start=1):
        text = f"{value / 1000**power:.3g}"
        if "e" not in text:
            return f"{text}{suffix}"
    return f"{value / 1000 ** len(suffixes):,.0f}{suffixes[-1]}"
