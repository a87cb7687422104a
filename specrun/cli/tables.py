"""Owns plain text tables for the terminal: aligned, no colour, no character that could steer the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from specrun.plan import figures
from specrun.spec.visible import cells, visible_line

__all__ = ["table", "terminal_width", "trimmed"]


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns aligned by spaces, numbers to the right; no trailing spaces."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max([cells(name), *(cells(row[place]) for row in texts)]) for place, name in enumerate(columns)]
    right = [bool(rows) and all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in column)
             for column in (zip(*rows, strict=True) if rows else [[]] * len(columns))]  # fmt: skip

    def line(row: Sequence[str]) -> str:
        blanks = [" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True)]
        return "  ".join(b + cell if r else cell + b for cell, b, r in zip(row, blanks, right, strict=True)).rstrip()

    return "\n".join(line(row) for row in ([visible_line(name) for name in columns], *texts))


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


def _text(cell: object) -> str:
    return visible_line("" if cell is None else figures.number(cell) if isinstance(cell, float) else str(cell))
