"""Owns plain text tables and figures for the terminal: aligned, no colour, no character that could steer the terminal."""

from __future__ import annotations

import math
import shutil
import sys
import unicodedata
from collections.abc import Sequence

__all__ = ["cells", "clock", "figure", "plain", "table", "terminal_width", "trimmed"]


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned by spaces, numbers to the right; no trailing spaces."""
    texts = [[plain(figure(cell) if isinstance(cell, float) else "" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max([cells(name), *(cells(row[place]) for row in texts)]) for place, name in enumerate(columns)]
    right = [bool(rows) and all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in column)
             for column in (zip(*rows, strict=True) if rows else [[]] * len(columns))]  # fmt: skip

    def line(row: Sequence[str]) -> str:
        blanks = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
        return "  ".join(b + cell if r else cell + b for cell, b, r in zip(row, blanks, right, strict=True)).rstrip()

    return "\n".join(line(row) for row in ([plain(name) for name in columns], *texts))


def trimmed(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, width: int | None, spare: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """A table of at most `width` cells, and the columns left out for it: those of `spare`, the first of them first.

    width: None for no bound. A table that is too wide without them all stays so.
    """

    def drawn(left_out: Sequence[str]) -> str:
        kept = [place for place, name in enumerate(columns) if name not in left_out]
        return table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])

    def fits(text: str) -> bool:
        return width is None or max(map(cells, text.splitlines())) <= width

    left_out: list[str] = []
    for name in (name for name in spare if name in columns):
        if fits(drawn(left_out)):
            break
        left_out.append(name)
    # A wide column that went last may have made room for narrow ones that went before it.
    for name in reversed(left_out[:-1]):
        if fits(drawn(fewer := [other for other in left_out if other != name])):
            left_out = fewer
    return drawn(left_out), tuple(left_out)


def terminal_width() -> int | None:
    """Cells of the terminal that standard output is; None where it is none, and nothing has to fit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def cells(text: str) -> int:
    """Cells of a terminal that a text takes: two for a wide sign, none for an accent that is set over another."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


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
