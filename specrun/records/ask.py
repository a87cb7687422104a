"""Owns answering a user's own SQL: one SELECT, in a read-only transaction, or a sentence that says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from specrun.errors import UsageError

if TYPE_CHECKING:
    import duckdb

__all__ = ["ask"]

_READS = {"SELECT", "EXPLAIN"}
_TABLES = "tables: runs, params, metrics, run_summary, system, steps, spans, artifacts, lineage, alerts, examples, trials"


def ask(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one SELECT; returns column names and at most `limit` rows.

    Raises UsageError: `sql-not-read-only`, `sql-not-one-statement`, `sql-not-allowed` (files, settings), `invalid-sql`.
    """
    from specrun.records.store import Error, Forbidden, statement_kinds

    try:
        kinds = statement_kinds(query)
        if len(kinds) != 1:
            raise UsageError(f"the query has {len(kinds)} statements", code="sql-not-one-statement", hint="give one SELECT")
        if kinds[0] not in _READS:
            raise UsageError(
                f"{kinds[0]} statements are not for the records, which are read-only",
                code="sql-not-read-only",
                hint='ask with SELECT, e.g. specrun sql "SELECT run_id, status FROM runs"; `specrun runs tag` and `remove` change things',
            )
        connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            answer = connection.execute(query)
            columns = [str(column[0]) for column in answer.description or ()]
            rows = answer.fetchall() if limit is None else answer.fetchmany(limit)
        finally:
            connection.execute("ROLLBACK")
    except Forbidden as error:
        raise UsageError(
            _sentence(error), code="sql-not-allowed", hint="a query sees the records alone, no files and no settings"
        ) from error
    except Error as error:
        raise UsageError(_sentence(error), code="invalid-sql", hint=_TABLES) from error
    return columns, rows


def _sentence(error: Exception) -> str:
    """DuckDB's message without its kind and without the excerpt of the query."""
    first = str(error).partition("\n")[0]
    kind, colon, rest = first.partition(": ")
    return rest if colon and kind.endswith("Error") else first
