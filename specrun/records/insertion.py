"""Owns bringing columns into a table in one statement: as parameters for few values, as Arrow for many."""

from __future__ import annotations

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
        parts.append(f"{_EXPRESSIONS[kind].format(place, place + 1)} AS {name}")
    return "SELECT " + ", ".join(parts), parameters
