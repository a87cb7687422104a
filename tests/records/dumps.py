"""Everything that a store's records say, as sorted text, to compare two ways of coming to it."""

from __future__ import annotations

from pathlib import Path

from specrun.records.ingest import ALL_TABLES
from specrun.records.queries import open_records
from specrun.records.snapshots import current
from specrun.records.store import connect, open_snapshot


def snapshot_dump(store: Path) -> dict[str, list[str]]:
    """The rows of each table of the current generation."""
    snapshot = current(store)
    assert snapshot is not None
    with connect(store) as connection:
        assert open_snapshot(connection, snapshot)
        tables = {table: connection.execute(f"SELECT * FROM snapshot.{table}").fetchall() for table in ALL_TABLES}
    return {table: sorted(map(repr, rows)) for table, rows in tables.items()}


def view_dump(store: Path, *, merge_first: bool = False) -> dict[str, list[str]]:
    """The rows of each table as a reader sees them."""
    with open_records(store, merge_first=merge_first) as records:
        return {table: sorted(map(repr, records.sql(f"SELECT * FROM {table}")[1])) for table in ALL_TABLES}
