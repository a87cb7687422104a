"""Owns the comparison of the snapshot with the journals, table by table: what a rebuild would give against what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from specrun.records import store as duck
from specrun.records.ingest import ALL_TABLES, drop_scaffolding, ingest

__all__ = ["disagreements"]

RUNS_AT_ONCE = 50
"""Runs whose rows are made anew in memory at a time."""

_COMPARED = tuple(table for table in ALL_TABLES if table != "journals")
"""How far a journal was read is examined apart, as a torn tail may have grown."""

_DIFFERENT = """
WITH had AS (SELECT run_id, count(*) AS count, sum(hash(t)) AS content FROM snapshot.{table} AS t WHERE {among} GROUP BY run_id),
    wanted AS (SELECT run_id, count(*) AS count, sum(hash(t)) AS content FROM anew.{table} AS t GROUP BY run_id)
SELECT run_id, coalesce(had.count, 0), coalesce(wanted.count, 0) FROM had FULL JOIN wanted USING (run_id)
WHERE had.count IS DISTINCT FROM wanted.count OR had.content IS DISTINCT FROM wanted.content ORDER BY run_id
"""


def disagreements(connection: duck.Connection, store: Path, run_ids: Iterable[str]) -> Iterator[tuple[str, str, int, int]]:
    """(run id, table, rows of the snapshot, rows that its journals and documents give), where rows differ in number or content.

    connection: with the database `snapshot` attached, which is read alone.
    """
    ordered = sorted(run_ids)
    for start in range(0, len(ordered), RUNS_AT_ONCE):
        group = ordered[start : start + RUNS_AT_ONCE]
        connection.execute("ATTACH ':memory:' AS anew; USE anew")
        duck.create_tables(connection)
        ingest(connection, store, group, {})
        drop_scaffolding(connection)
        for table in _COMPARED:
            query = _DIFFERENT.format(table=table, among="run_id IN (SELECT unnest(?))")
            for run_id, had, wanted in connection.execute(query, [group]).fetchall():
                yield run_id, table, had, wanted
        connection.execute("USE memory; DETACH anew")
