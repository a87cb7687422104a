"""Owns the DuckDB snapshot: merging journals into a new generation, rebuilding it, opening it. The one module that imports duckdb.

The snapshot is an index over the journals. A merge copies the current generation, adds to the copy, verifies it and renames
it into place; a crash at any point leaves the old generation valid. `python -m specrun.records.store merge DIR` merges from
a process of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from specrun.errors import SpecrunError, StoreError
from specrun.records.atomic import storage_failure
from specrun.records.ingest import drop_runs, ingest, transaction
from specrun.records.news import find_news
from specrun.records.snapshots import Listing, current, list_runs, merge_lock, publish, remove_markers, scratch_file
from specrun.resources import schema_file

__all__ = [
    "SCHEMA_VERSION",
    "STORAGE_VERSION",
    "Connection",
    "Error",
    "connect",
    "create_tables",
    "merge",
    "rebuild",
    "statement_kinds",
    "usable",
]

SCHEMA_VERSION = 1
STORAGE_VERSION = "v1.5.0"
"""The form of the file: what every duckdb of the supported range opens."""

Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error
Forbidden = duckdb.PermissionException

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # A query's names mean tables, never variables of the calling program.
    "python_enable_replacements": "false",
}


def merge(store: Path) -> bool:
    """Bring the snapshot up to date. False when another process is merging, or the store cannot be written by this user.

    Raises StoreError for a full disk, no store, or records of a newer version; the generation before stays current.
    """
    with merge_lock(store) as held:
        if not held:
            return False
        listing = list_runs(store)
        base = current(store)
        if base is None or not usable(base):
            _make(store, listing, None)
        elif listing.markers or _has_news(store, base, listing):
            _make(store, listing, base)
        return True


def rebuild(store: Path) -> None:
    """Make the snapshot anew from the journals alone. Raises StoreError when another process is merging."""
    with merge_lock(store) as held:
        if not held:
            raise StoreError(f"{store} is being merged or is not writable", code="store-busy", hint="wait a moment and try again")
        _make(store, list_runs(store), None)


def usable(snapshot: Path) -> bool:
    """Whether a snapshot opens and has this version's tables; one that does not is made anew from the journals.

    Raises StoreError for one that a newer specrun wrote.
    """
    try:
        with connect() as connection, attached(connection, snapshot, "READ_ONLY"):
            row = connection.execute("SELECT value FROM snapshot.meta WHERE key = 'schema_version'").fetchone()
    except duckdb.Error:
        return False
    version = int(row[0]) if row else 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{snapshot} has records version {version}; this specrun reads version {SCHEMA_VERSION}",
            code="store-too-new",
            hint="upgrade with: pip install --upgrade specrun",
        )
    return version == SCHEMA_VERSION


@contextlib.contextmanager
def connect() -> Iterator[Connection]:
    """An in-memory database that installs and loads no extension of its own accord."""
    connection = duckdb.connect(":memory:", config=_SETTINGS)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def attached(connection: Connection, path: Path, options: str) -> Iterator[None]:
    """Have a file as the database `snapshot`."""
    attach(connection, path, options)
    yield
    connection.execute("DETACH snapshot")


def attach(connection: Connection, path: Path, options: str) -> None:
    """Open a file as the database `snapshot`, for as long as the connection lives."""
    quoted = str(path).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS snapshot ({options})")


def create_tables(connection: Connection) -> None:
    """Make the empty tables of `schemas/records.sql` in the current database."""
    connection.execute(schema_file("records.sql").read_text(encoding="utf-8"))


def statement_kinds(query: str) -> list[str]:
    """What each statement of a query is: SELECT, INSERT, ... Raises `Error` for one that cannot be parsed."""
    return [statement.type.name for statement in duckdb.extract_statements(query)]


def _has_news(store: Path, base: Path, listing: Listing) -> bool:
    with connect() as connection, attached(connection, base, "READ_ONLY"):
        news = find_news(connection, store, listing)
    return bool(news.touched or news.gone)


def _make(store: Path, listing: Listing, base: Path | None) -> None:
    """Write the next generation: the base (or nothing) plus what the journals hold beyond it."""
    scratch = scratch_file(store)
    try:
        if base is not None:
            shutil.copyfile(base, scratch)
        _fill(scratch, store, listing, fresh=base is None)
        publish(store, scratch)
    except OSError as error:
        raise storage_failure(scratch, error) from error
    except duckdb.IOException as error:
        raise StoreError(f"{scratch}: {_first_line(error)}", code="disk-full", hint=f"free some space on the disk of {store}") from error
    finally:
        for leftover in store.glob(f"{scratch.name}*"):
            leftover.unlink(missing_ok=True)
    remove_markers(store, listing.markers)


def _fill(scratch: Path, store: Path, listing: Listing, *, fresh: bool) -> None:
    with connect() as connection:
        options = f"STORAGE_VERSION '{STORAGE_VERSION}'" if fresh else "READ_WRITE"
        with attached(connection, scratch, options):
            connection.execute("USE snapshot")
            if fresh:
                create_tables(connection)
            news = find_news(connection, store, listing)
            drop_runs(connection, sorted(news.gone))
            ingest(connection, store, news.touched, news.positions)
            with transaction(connection):
                connection.execute("DELETE FROM meta")
                connection.execute(
                    "INSERT INTO meta VALUES ('schema_version', ?), ('duckdb', ?)", [str(SCHEMA_VERSION), duckdb.__version__]
                )
            expected = connection.execute("SELECT count(*) FROM runs").fetchone()
            connection.execute("CHECKPOINT")
            connection.execute("USE memory")
    with connect() as connection, attached(connection, scratch, "READ_ONLY"):
        found = connection.execute("SELECT count(*) FROM snapshot.runs, snapshot.meta WHERE key = 'schema_version'").fetchone()
    if found != expected:
        raise StoreError(f"{scratch} did not hold what was written to it", code="store-failed", hint="check the disk, then try again")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in {"merge", "rebuild"}:
        print("usage: python -m specrun.records.store merge|rebuild DIR", file=sys.stderr)  # noqa: T201 - this is the module's command line
        return 2
    try:
        {"merge": merge, "rebuild": rebuild}[arguments[0]](Path(arguments[1]))
    except SpecrunError as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is the module's command line
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
