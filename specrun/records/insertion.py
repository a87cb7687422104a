"""Owns bringing columns into a table in one statement: as parameters for few values, as Arrow for many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from specrun.records.columns import Columns, Type, type_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["MANY_ROWS", "insert", "insert_arrow", "select_of"]

MANY_ROWS = 20_000
"""From here on Arrow is faster, its import counted (half a second)."""

_EXPRESSIONS: dict[Type, str] = {
    "text": "unnest(${0}::VARCHAR[])",
    "whole": "unnest(${0}::BIGINT[])",
    "real": "unnest(${0}::DOUBLE[])",
    "time": "make_timestamp(unnest(${0}::BIGINT[]))",
    "truth": "unnest(${0}::BOOLEAN[])",
    "texts": "unnest(${0}::VARCHAR[][])",
    "figures": "map(unnest(${0}::VARCHAR[][]), unnest(${1}::DOUBLE[][]))",
}


_REALS_AS_TEXT = "unnest(${0}::VARCHAR[])::DOUBLE"


def insert(connection: duckdb.DuckDBPyConnection, table: str, columns: Columns) -> None:
    """Append rows; columns that are not named are null."""
    select, parameters = select_of(table, columns)
    connection.execute(f"INSERT INTO {table} BY NAME {select}", parameters)


def insert_arrow(connection: duckdb.DuckDBPyConnection, table: str, rows: Any) -> None:
    """Append a pyarrow.Table."""
    connection.register("incoming", rows)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM incoming")  # noqa: S608 - a name of this package
    connection.unregister("incoming")


def select_of(table: str, columns: Columns) -> tuple[str, list[Any]]:
    """A SELECT that gives the columns as rows, and its parameters."""
    parts: list[str] = []
    parameters: list[Any] = []
    for name, values in columns.items():
        kind = type_of(table, name)
        place = len(parameters) + 1
        if kind == "figures":
            parameters += [[list(figures or ()) for figures in values], [list((figures or {}).values()) for figures in values]]
        else:
            parameters.append(list(values))
        expression = _EXPRESSIONS[kind]
        if kind == "real" and any(value is not None and math.isnan(value) for value in values):
            # DuckDB before 2.0 takes a NaN among parameters for null; a text it reads as the number that it is.
            parameters[-1] = [None if value is None else repr(float(value)) for value in values]
            expression = _REALS_AS_TEXT
        parts.append(f"{expression.format(place, place + 1)} AS {name}")
    return "SELECT " + ", ".join(parts), parameters
