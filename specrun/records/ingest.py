"""Owns putting journals into tables through a DuckDB connection: the one path of merges, rebuilds and readers' overlays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from specrun.records.batch import COLUMNS, Batch, ReadPosition
from specrun.records.columns import Columns, arrow_metrics, metric_columns, table_columns
from specrun.records.derive import PER_RUN_TABLES, REPEATED, RESUMED, RUNS, SUMMARY, SUPERSEDED
from specrun.records.described import describe
from specrun.records.insertion import MANY_ROWS, insert, insert_arrow, select_of
from specrun.records.journal_reader import journal_files
from specrun.records.run_files import run_folder

if TYPE_CHECKING:
    import duckdb

__all__ = ["ALL_TABLES", "Positions", "drop_runs", "drop_scaffolding", "ingest", "read_positions"]

Positions = Mapping[tuple[str, str], ReadPosition]
"""(run id, journal's file name) -> how far it has been read."""

BATCH_VALUES = 1_000_000
"""Values taken in at a time: some 150 MB of memory."""

_SCAFFOLDING = ("described", "final_metrics")
"""Tables that the statements of `derive` read and that live for one merge."""

ALL_TABLES = (*PER_RUN_TABLES, "metrics", "journals", *COLUMNS)


def ingest(connection: duckdb.DuckDBPyConnection, store: Path, run_ids: Iterable[str], positions: Positions) -> int:
    """Bring the tables up to date for some runs, a transaction for as many as fit a batch. Returns how many records were read."""
    records = 0
    for group, batch in _batches(store, sorted(run_ids), positions):
        with transaction(connection):
            _load(connection, store, group, batch)
        records += sum(position.records for _, position in batch.positions.values())
    return records


def drop_runs(connection: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> None:
    """Forget runs whose folders are gone."""
    if run_ids:
        with transaction(connection):
            for table in ALL_TABLES:
                connection.execute(f"DELETE FROM {table} WHERE run_id IN (SELECT unnest(?))", [list(run_ids)])  # noqa: S608 - a constant name


def read_positions(connection: duckdb.DuckDBPyConnection, database: str, run_ids: Iterable[str]) -> dict[tuple[str, str], ReadPosition]:
    """The positions that a snapshot recorded for some runs."""
    columns = "run_id, file, read_bytes, seen_bytes, records, damaged, epoch(first_time), epoch(last_time)"
    query = f"SELECT {columns} FROM {database}.journals WHERE run_id IN (SELECT unnest(?))"  # noqa: S608 - constant names
    rows = connection.execute(query, [sorted(run_ids)]).fetchall()
    return {(run_id, file): ReadPosition(*rest) for run_id, file, *rest in rows}


def drop_scaffolding(connection: duckdb.DuckDBPyConnection) -> None:
    """Remove the temporary tables that `ingest` works with, so that a user's list of tables shows records alone."""
    connection.execute(";".join(f"DROP TABLE IF EXISTS temp.{table}" for table in ("touched", *_SCAFFOLDING)))


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block's changes, or none."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _batches(store: Path, run_ids: Sequence[str], positions: Positions) -> Iterator[tuple[list[str], Batch]]:
    group: list[str] = []
    batch = Batch()
    for run_id in run_ids:
        group.append(run_id)
        for journal in journal_files(run_folder(store, run_id)):
            # A run may be removed while it is read; its rows are then dropped by the next merge.
            with contextlib.suppress(FileNotFoundError):
                batch.read(run_id, journal, positions.get((run_id, journal.path.name), ReadPosition()))
        if batch.size >= BATCH_VALUES:
            yield group, batch
            group, batch = [], Batch()
    if group:
        yield group, batch


def _load(connection: duckdb.DuckDBPyConnection, store: Path, group: Sequence[str], batch: Batch) -> None:
    described = {run_id: describe(run_id, run_folder(store, run_id)) for run_id in group}
    first_steps = batch.first_steps()
    touched = [list(group), [first_steps.get(run_id) for run_id in group]]
    connection.execute("CREATE OR REPLACE TEMP TABLE touched AS SELECT unnest(?) AS run_id, unnest(?::BIGINT[]) AS first_step", touched)
    forget = [f"DELETE FROM {table} WHERE run_id IN (SELECT run_id FROM touched)" for table in (*PER_RUN_TABLES, "journals")]  # noqa: S608 - constant names
    connection.execute(";".join((*forget, "DELETE FROM steps WHERE attempt = 0 AND run_id IN (SELECT run_id FROM touched)")))
    gained = _insert(connection, batch, table_columns(batch, described))
    if connection.execute(RESUMED).fetchone() != (0,):
        connection.execute(";".join(SUPERSEDED))
    for table, statement in REPEATED.items():
        if table in gained:
            connection.execute(statement)
    connection.execute(SUMMARY)
    connection.execute(RUNS)


def _insert(connection: duckdb.DuckDBPyConnection, batch: Batch, tables: Mapping[str, Columns]) -> set[str]:
    """Append a batch's rows. Returns the tables that gained some."""
    gained = {table for table, columns in tables.items() if columns["run_id"]}
    for table in _SCAFFOLDING:
        select, parameters = select_of(table, tables[table])
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}", parameters)
    for table in gained - set(_SCAFFOLDING):
        insert(connection, table, tables[table])
    if len(batch.values) >= MANY_ROWS:
        insert_arrow(connection, "metrics", arrow_metrics(batch))
    elif batch.values:
        insert(connection, "metrics", metric_columns(batch))
    return gained | ({"metrics"} if batch.values else set())
