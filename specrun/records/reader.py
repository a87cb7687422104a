"""Owns a reader's view of the store: the current generation with the tails of pending journals laid over it, locked down.

Views named as the tables of `schemas/records.sql` give, for most runs, the snapshot's rows; for runs with news, rows made in
memory by the very statements of a merge. A reader takes no lock, so it never waits for a writer, nor a writer for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from specrun.errors import StoreError
from specrun.records import store as duck
from specrun.records.ingest import ALL_TABLES, drop_scaffolding, ingest
from specrun.records.news import NO_NEWS, News, find_news
from specrun.records.place import check_place
from specrun.records.run_files import is_alive
from specrun.records.snapshots import Listing, current, list_runs, no_store

__all__ = ["open_view"]

MERGE_BYTES = 64 * 1024
MERGE_FRACTION = 16
"""A merge copies the snapshot, so it is worth it when the news are at least this part of it."""

_ATTEMPTS = 5


@contextlib.contextmanager
def open_view(store: Path, *, merge_first: bool = True) -> Iterator[duck.Connection]:
    """A connection that can read the records and nothing else. Raises StoreError when there is no store, or a newer one."""
    check_place(store)
    if not store.is_dir():
        raise no_store(store)
    with duck.connect(store) as connection:
        snapshot, listing, news = _attach_current(connection, store)
        if merge_first and _merge_is_worth_it(snapshot, news) and duck.merge(store):
            # The merge has just read what there was when this reader was asked: nothing is to be laid over it.
            connection.execute("DETACH snapshot")
            _attach_current(connection, store)
            news = NO_NEWS
        _make_views(connection, store, listing, news)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _attach_current(connection: duck.Connection, store: Path) -> tuple[Path | None, Listing, News]:
    """Attach the snapshot, or an empty one. A generation that vanished under us was replaced: the next is tried."""
    for _ in range(_ATTEMPTS):
        listing = list_runs(store)
        snapshot = current(store)
        if snapshot is not None and duck.open_snapshot(connection, snapshot):
            return snapshot, listing, find_news(connection, store, listing)
        if snapshot is None or snapshot.exists():
            _attach_nothing(connection)
            return None, listing, find_news(connection, store, listing)
    raise StoreError(f"{store}: the snapshot is replaced faster than it can be opened", code="store-busy", hint="try again")


def _attach_nothing(connection: duck.Connection) -> None:
    """An empty snapshot: everything then comes from the journals."""
    connection.execute("ATTACH ':memory:' AS snapshot")
    connection.execute("USE snapshot")
    duck.create_tables(connection)
    connection.execute("USE memory")


def _merge_is_worth_it(snapshot: Path | None, news: News) -> bool:
    if snapshot is None:
        return bool(news.touched)
    return news.unread_bytes >= max(MERGE_BYTES, snapshot.stat().st_size // MERGE_FRACTION)


def _make_views(connection: duck.Connection, store: Path, listing: Listing, news: News) -> None:
    changed = bool(news.touched or news.gone)
    if changed:
        _make_overlay(connection, store, news)
    views = []
    for table in (*ALL_TABLES, "meta"):
        view = "recorded_runs" if table == "runs" else table
        views.append(f"CREATE VIEW {view} AS " + (_LAID_OVER if changed and table != "meta" else _PLAIN).format(table=table))
    connection.execute(";".join(views))
    connection.execute("CREATE TABLE living AS SELECT unnest(?::VARCHAR[]) AS run_id", [_living(store, listing)])
    connection.execute(_RUNS)


def _living(store: Path, before: Listing) -> list[str]:
    """Runs that live, or lived when their records were read: one that ended since then has not crashed."""
    after = list_runs(store)
    candidates = before.active | after.active | (after.marked - before.marked)
    return sorted(run_id for run_id in candidates if is_alive(store, run_id) or not (store / "active" / run_id).exists())


def _make_overlay(connection: duck.Connection, store: Path, news: News) -> None:
    """Tables of the runs with news: what the snapshot has of them, brought up to date as a merge would."""
    connection.execute("CREATE SCHEMA overlay; USE memory.overlay")
    connection.execute("CREATE TABLE hidden AS SELECT unnest(?::VARCHAR[]) AS run_id", [sorted(news.touched | news.gone)])
    # A run without a position has no rows in the snapshot either.
    copied = sorted({run_id for run_id, _ in news.positions} & news.touched)
    connection.execute("CREATE TABLE copied AS SELECT unnest(?::VARCHAR[]) AS run_id", [copied])
    if copied:
        connection.execute(";".join(_COPY.format(table=table) for table in ALL_TABLES))
    else:
        duck.create_tables(connection)
    ingest(connection, store, news.touched, news.positions)
    drop_scaffolding(connection)
    connection.execute("USE memory.main")


_COPY = "CREATE TABLE {table} AS SELECT * FROM snapshot.{table} WHERE run_id IN (SELECT run_id FROM copied)"
_PLAIN = "SELECT * FROM snapshot.{table}"
_LAID_OVER = """
SELECT * FROM snapshot.{table} WHERE run_id NOT IN (SELECT run_id FROM overlay.hidden) UNION ALL SELECT * FROM overlay.{table}
"""

_RUNS = """
CREATE VIEW runs AS SELECT * EXCLUDE (dead) REPLACE (
    CASE WHEN dead THEN 'crashed' ELSE status END AS status,
    CASE WHEN dead THEN 'its process ended without saying so' ELSE reason END AS reason)
FROM (SELECT *, status = 'running' AND run_id NOT IN (SELECT run_id FROM living) AS dead FROM recorded_runs)
"""
"""A run whose process is gone is never shown as running."""
