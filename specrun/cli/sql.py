"""`specrun sql`: ask the records in SQL, read-only."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.cli.tables import table
from specrun.errors import UsageError
from specrun.records.lines import flag_non_finite
from specrun.records.queries import open_records
from specrun.spec.visible import visible_line

_EXPLAINED = ["explain_key", "explain_value"]
"""What DuckDB calls the columns of a drawn query plan."""


class Format(StrEnum):
    """How an answer is printed."""

    table = "table"
    csv = "csv"
    json = "json"


def run(
    query: Annotated[str, typer.Argument(help='One SELECT, e.g. "SELECT run_id, status FROM runs".', show_default=False)],
    store: Store = DEFAULT_STORE,
    json_: Json = False,
    format_: Annotated[
        Format | None, typer.Option("--format", help="How the answer is printed; absent means table.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 1000,
) -> None:
    """Ask the records in SQL, read-only.

    Tables: runs, params, metrics, run_summary, system, steps, spans, artifacts, lineage, alerts, examples, trials.
    """
    if json_ and format_ not in {None, Format.json}:
        raise UsageError(f"--json and --format {format_} ask for two forms", code="options-conflict", hint="give one of them")
    with open_records(store) as records:
        columns, rows = records.sql(query, limit + 1)
    shown = rows[:limit]
    if json_ or format_ is Format.json:
        cells = [[_plain_value(cell) for cell in row] for row in shown]
        truncated = len(rows) > limit
        document = flag_non_finite({"format_version": 1, "columns": columns, "rows": cells, "truncated": truncated})
        print(json.dumps(document, indent=2, ensure_ascii=False))
    elif format_ is Format.csv:
        sys.stdout.write(csv_text(columns, shown))
    elif columns == _EXPLAINED:
        print("\n".join(visible_line(line) for _, text in shown for line in str(text).splitlines()))
    else:
        print(table(columns, [[_cell_text(cell) for cell in row] for row in shown]))
    if len(rows) > limit:
        print(f"the first {limit} of more rows; --limit shows more", file=sys.stderr)


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Comma-separated values. A text that a spreadsheet would run as a formula gets a ' in front; numbers are untouched."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_inert(name) for name in columns])
    for row in rows:
        writer.writerow([cell if isinstance(cell, int | float | Decimal) else _inert(_cell_text(cell)) for cell in row])
    return buffer.getvalue()


def _inert(text: Any) -> Any:
    """Formula starters, also behind white space, which some spreadsheets skip."""
    return (
        f"'{text}"
        if isinstance(text, str) and (text.lstrip()[:1] in {"=", "+", "-", "@"} or text[:1] in {"\t", "\r"}) and text.strip()
        else text
    )


def _cell_text(cell: Any) -> Any:
    if cell is None or isinstance(cell, int | float):
        return cell
    if isinstance(cell, Decimal):
        return float(cell)
    value = _plain_value(cell)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain_value(cell: Any) -> Any:
    """A value that JSON has a word for: times in ISO 8601, UTC; lists and maps as they are."""
    if isinstance(cell, datetime):
        return cell.isoformat() + ("" if cell.tzinfo else "Z")
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, dict):
        return {str(key): _plain_value(value) for key, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [_plain_value(value) for value in cell]
    return cell if cell is None or isinstance(cell, str | int | float | bool) else str(cell)
