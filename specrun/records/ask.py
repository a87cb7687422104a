"""Owns answering a user's own SQL: one SELECT, in a read-only transaction, or a sentence that says why not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from specrun.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

__all__ = ["ask"]

_VIEW = "specrun_answer"
_ZONED = "TIMESTAMP WITH TIME ZONE"
_READS = {"SELECT", "EXPLAIN"}
_TABLES = "tables: runs, params, metrics, run_summary, system, steps, spans, artifacts, lineage, alerts, examples, trials"


def ask(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one SELECT; returns column names and at most `limit` rows.

    Raises UsageError: `sql-not-read-only`, `sql-not-one-statement`, `sql-not-allowed` (files, settings), `invalid-sql`.
    """
    from specrun.records.store import Error, Forbidden, Interrupted, statement_kinds

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
        return _answer(connection, query, limit)
    except Interrupted:
        raise
    except Forbidden as error:
        raise UsageError(
            _sentence(error), code="sql-not-allowed", hint="a query sees the records alone, no files and no settings"
        ) from error
    except Error as error:
        raise UsageError(_sentence(error), code="invalid-sql", hint=_TABLES) from error


def _answer(connection: duckdb.DuckDBPyConnection, query: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    with _reading(connection):
        answer = connection.execute(query)
        columns = [str(name) for name, *_ in answer.description or ()]
        types = [str(kind) for _, kind, *_ in answer.description or ()]
        if not any(_ZONED in kind for kind in types):
            return columns, _rows(answer, limit)
    # DuckDB turns times with a zone into Python's by a package of its own choice, which may be absent. A view is put before
    # the query's text, so that whatever ends it (a semicolon, a comment) stays at the end.
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_VIEW} AS {query}")
    try:
        with _reading(connection):
            return columns, _rows(connection.execute(f"SELECT {_without_zones(types)} FROM {_VIEW}"), limit)  # noqa: S608 - types of DuckDB's
    finally:
        connection.execute(f"DROP VIEW {_VIEW}")


@contextlib.contextmanager
def _reading(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.execute("BEGIN TRANSACTION READ ONLY")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _rows(answer: duckdb.DuckDBPyConnection, limit: int | None) -> list[tuple[Any, ...]]:
    return answer.fetchall() if limit is None else answer.fetchmany(limit)


def _without_zones(types: Sequence[str]) -> str:
    """Columns with their times in UTC and without a zone, in lists and structs too."""
    return ", ".join(f"CAST(#{place} AS {kind.replace(_ZONED, 'TIMESTAMP')})" for place, kind in enumerate(types, start=1))


def _sentence(error: Exception) -> str:
    """DuckDB's message on one line, without its kind and without the excerpt of the query."""
    said = str(error).partition("\n\nLINE ")[0].partition("\nLINE ")[0]
    line = " ".join(said.split())
    kind, colon, rest = line.partition(": ")
    return rest if colon and kind.endswith("Error") else line
