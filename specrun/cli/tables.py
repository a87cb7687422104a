"""Owns plain text tables and figures for the terminal: aligned, no colour, no character that could steer the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["clock", "figure", "plain", "table"]


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned by spaces, numbers to the right; no trailing spaces."""
    texts = [[plain(figure(cell) if isinstance(cell, float) else "" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max([len(name), *(len(row[place]) for row in texts)]) for place, name in enumerate(columns)]
    right = [bool(rows) and all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in column)
             for column in (zip(*rows, strict=True) if rows else [[]] * len(columns))]  # fmt: skip

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(cells, widths, right, strict=True)).rstrip()

    return "\n".join(line(row) for row in ([plain(name) for name in columns], *texts))


def plain(text: str) -> str:
    """A text on one line, without control characters: they could rewrite what a terminal shows."""
    return "".join(sign if sign.isprintable() else " " if sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)


def figure(value: float) -> str:
    """A number in four significant digits, or `nan` and `inf` as they are."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 and value == round(value) else f"{value:.4g}"


def clock(seconds: float) -> str:
    """A duration: 0.4s, 12s, 3m05s, 2h04m."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
