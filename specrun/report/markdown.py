"""How values are written in Markdown so that they stay text: escaped, in code spans, fenced, or as aligned tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from specrun.report.views import Column, PlanRow, Row, SpecRow, Table
from specrun.spec.visible import cells as cells_of
from specrun.spec.visible import visible

_SIGNIFICANT = re.compile(r"([\\`*\[\]|~#]|(?<!\w)_|_(?!\w))")
"""Characters that could begin markup inside a line; an underscore within a word cannot."""
_LEADING = re.compile(r"^(?:(>|[-+=](?=[\s=-]|$))|(\d+)([.)])(?=\s|$))")
"""What could begin a block at the start of a line."""
_ENTITIES = {"&": "&amp;", "<": "&lt;"}


def inline(text: str) -> str:
    """Text within a line or a table cell: nothing in it is markup, and it stays on its line."""
    one_line = " ".join(visible(text).split())
    escaped = _SIGNIFICANT.sub(r"\\\1", "".join(_ENTITIES.get(character, character) for character in one_line))
    return _LEADING.sub(lambda found: rf"\{found[1]}" if found[1] else rf"{found[2]}\{found[3]}", escaped)


def code(text: str) -> str:
    """Text as a code span that its own backticks do not end."""
    one_line = " ".join(visible(text).split())
    if not one_line:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", one_line)), default=0))
    space = " " if one_line.startswith("`") or one_line.endswith("`") else ""
    return f"{fence}{space}{one_line}{space}{fence}"


def block(text: str, *, language: str = "") -> str:
    """Text as a fenced block that its own fences do not end."""
    lines = visible(text)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", lines)), default=0))
    return f"{fence}{language}\n{lines}\n{fence}"


def table(shown: Table) -> str:
    """A table with its columns aligned in the source too."""
    return aligned(shown.columns, shown.rows)


def plan_table(rows: Sequence[PlanRow]) -> Table:
    """The plan as a table: Markdown has no bars."""
    figures = ("predicted", "actual", "ratio", "memory, predicted", "memory, actual", "disk")
    columns = (Column("step"), Column("action"), *(Column(label, numeric=True) for label in figures), Column("reason"))
    return Table("Steps of the plan", columns, tuple(Row(_plan_cells(row)) for row in rows))


def _plan_cells(row: PlanRow) -> tuple[str, ...]:
    times = (row.predicted_time, row.actual_time, row.ratio)
    return (row.id, row.action, *times, row.predicted_memory, row.actual_memory, row.disk, row.reason)


def spec_table(rows: Sequence[SpecRow]) -> Table:
    """The resolved spec as a table."""
    columns = (Column("key", mono=True), Column("value", mono=True), Column("from"))
    return Table("Values of the spec", columns, tuple(Row((row.path, row.value, row.origin)) for row in rows))


def aligned(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Rows under their columns' names; figures to the right."""
    cells = [[inline(column.label) for column in columns]]
    cells += [
        [code(cell).replace("|", "\\|") if column.mono else inline(cell) for column, cell in zip(columns, row.cells, strict=True)]
        for row in rows
    ]
    widths = [max(3, *(cells_of(line[i]) for line in cells)) for i in range(len(columns))]
    rule = ["-" * (width - 1) + ":" if column.numeric else "-" * width for column, width in zip(columns, widths, strict=True)]
    lines = [_line(line, columns, widths) for line in cells]
    return "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        space = " " * (width - cells_of(cell))
        padded.append(space + cell if column.numeric else cell + space)
    return f"| {' | '.join(padded)} |"
