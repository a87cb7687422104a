"""Owns the DuckDB snapshot: merging journals into a new generation, rebuilding it, opening it. The one module that imports duckdb.

The snapshot is an index over the journals. A merge copies the current generation, adds to the copy, verifies it and renames
it into place; a crash at any point leaves the old generation valid. `python -m specrun.records.store merge DIR` merges from
a process of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb

from specrun.errors import SpecrunError, StoreError
from specrun.records.atomic import LIFT_FILE_BOUND, storage_failure
from specrun.records.ingest import drop_runs, ingest, transaction
from specrun.records.news import find_news
from specrun.records.place import command_on
from specrun.records.snapshots import Listing, current, list_runs, merge_lock, publish, remove_markers, scratch_file
from specrun.resources import schema_file

__all__ = [
    "SCHEMA_VERSION",
    "STORAGE_VERSION",
    "Connection",
    "Error",
    "Forbidden",
    "Interrupted",
    "attach",
    "connect",
    "create_tables",
    "merge",
    "open_snapshot",
    "rebuild",
    "statement_kinds",
    "use_cores",
]

SCHEMA_VERSION = 6
STORAGE_VERSION = "v1.5.0"
"""The form of the file: what every duckdb of the supported range opens."""

Connection = duckdb.DuckDBPyConnection
Error = duckdb.Error
Forbidden = duckdb.PermissionException
Interrupted = duckdb.InterruptException

INTERRUPTED = "Query interrupted"
"""What DuckDB's RuntimeError says of a query that a signal ended."""

MANY_BYTES = 16 * 1024 * 1024
"""From here on several threads are worth their start."""

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # A query's names mean tables, never variables of the calling program.
    "python_enable_replacements": "false",
    "threads": "1",
    # A training may need the rest.
    "memory_limit": "50%",
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
        with connect(store) as connection:
            if base is not None and open_snapshot(connection, base):
                news = find_news(connection, store, listing)
                connection.execute("DETACH snapshot")
                if not (listing.markers or news.touched or news.gone):
                    return True
                with contextlib.suppress(duckdb.Error):
                    _make(connection, store, listing, base)
                    return True
        # There is no snapshot, or reading it failed half-way: the journals have everything.
        _make_anew(store, listing)
        return True


def rebuild(store: Path) -> None:
    """Make the snapshot anew from the journals alone. Raises StoreError when another process is merging, or for a read-only store."""
    with merge_lock(store) as held:
        if not held and not os.access(store, os.W_OK):
            raise storage_failure(store, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        if not held:
            raise StoreError(f"{store} is being merged by another process", code="store-busy", hint="wait a moment and try again")
        _make_anew(store, list_runs(store))


def open_snapshot(connection: Connection, snapshot: Path) -> bool:
    """Attach a snapshot to read as the database `snapshot`, if it opens and has this version's tables; else it is to be made anew.

    Raises StoreError for one that a newer specrun wrote.
    """
    try:
        attach(connection, snapshot, "READ_ONLY")
    except duckdb.Error:
        return False
    try:
        row = connection.execute("SELECT value FROM snapshot.meta WHERE key = 'schema_version'").fetchone()
        version = int(row[0]) if row else 0
        if version == SCHEMA_VERSION:
            # A damaged block shows when it is read: these tables are read at every use, so they are read here.
            connection.execute("SELECT count(run_id || status) FROM snapshot.runs")
            connection.execute("SELECT sum(read_bytes + length(file)) FROM snapshot.journals")
    except duckdb.Error:
        version = 0
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{snapshot} has records version {version}; this specrun reads version {SCHEMA_VERSION}",
            code="store-too-new",
            hint="upgrade with: pip install --upgrade specrun",
        )
    if version != SCHEMA_VERSION:
        connection.execute("DETACH snapshot")
        return False
    use_cores(connection, snapshot.stat().st_size)
    return True


@contextlib.contextmanager
def connect(store: Path) -> Iterator[Connection]:
    """An in-memory database that installs and loads no extension of its own accord; what overflows memory goes into the store."""
    overflow = store.absolute() / f".spill-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    connection = duckdb.connect(":memory:", config={**_SETTINGS, "temp_directory": str(overflow)})
    try:
        with contextlib.suppress(duckdb.Error):  # a build without time zones has UTC alone
            connection.execute("SET TimeZone = 'UTC'")
        yield connection
    except (RuntimeError, duckdb.InterruptException) as error:
        # DuckDB takes Ctrl-C for itself while a query runs, and gives this instead.
        if isinstance(error, duckdb.InterruptException) or str(error) == INTERRUPTED:
            raise KeyboardInterrupt from error
        raise
    finally:
        connection.close()


def attach(connection: Connection, path: Path, options: str) -> None:
    """Open a file as the database `snapshot`, for as long as the connection lives."""
    # A relative path may begin as the name of an extension does, with a colon.
    quoted = str(path.absolute()).replace("'", "''")
    connection.execute(f"ATTACH '{quoted}' AS snapshot ({options})")


def use_cores(connection: Connection, size_bytes: int) -> None:
    """Let large amounts be worked on by every core; small ones are done before the threads have started."""
    if size_bytes >= MANY_BYTES:
        connection.execute("RESET threads")


def create_tables(connection: Connection) -> None:
    """Make the empty tables of `schemas/records.sql` in the current database."""
    connection.execute(schema_file("records.sql").read_text(encoding="utf-8"))


def statement_kinds(query: str) -> list[str]:
    """What each statement of a query is: SELECT, INSERT, ... Raises `Error` for one that cannot be parsed."""
    return [statement.type.name for statement in duckdb.extract_statements(query)]


def _make_anew(store: Path, listing: Listing) -> None:
    try:
        with connect(store) as connection:
            _make(connection, store, listing, None)
    except duckdb.Error as error:
        raise _refusal(store, error) from error


def _refusal(store: Path, error: duckdb.Error) -> StoreError:
    message = str(error).partition("\n")[0]
    # What went wrong first, without what else has become of it.
    message = message.rpartition("Original error: ")[2]
    # DuckDB passes on what the system said, and not its number.
    if os.strerror(errno.EFBIG) in message:
        said = storage_failure(store, OSError(errno.EFBIG, os.strerror(errno.EFBIG)))
        return StoreError(said.message, code=said.code, hint=LIFT_FILE_BOUND)
    if any(os.strerror(number) in message for number in (errno.ENOSPC, errno.EDQUOT)):
        return StoreError(f"{store}: {message}", code="disk-full", hint=f"free some space on the disk of {store}")
    return StoreError(f"{store}: {message}", code="store-failed", hint=f"see what is wrong with: {command_on(store, 'store', 'doctor')}")


def _make(connection: Connection, store: Path, listing: Listing, base: Path | None) -> None:
    """Write the next generation: the base (or nothing) plus what the journals hold beyond it."""
    scratch = scratch_file(store)
    try:
        if base is None:
            attach(connection, scratch, f"STORAGE_VERSION '{STORAGE_VERSION}'")
        else:
            shutil.copyfile(base, scratch)
            attach(connection, scratch, "READ_WRITE")
        runs = _fill(connection, store, listing, fresh=base is None)
        _verify(connection, scratch, runs)
        publish(store, scratch)
    except OSError as error:
        raise storage_failure(scratch, error) from error
    finally:
        for leftover in store.glob(f"{scratch.name}*"):
            leftover.unlink(missing_ok=True)
    remove_markers(store, listing.markers)


def _fill(connection: Connection, store: Path, listing: Listing, *, fresh: bool) -> int:
    """Bring the attached copy up to date and close it. Returns how many runs it holds."""
    connection.execute("USE snapshot")
    if fresh:
        create_tables(connection)
    news = find_news(connection, store, listing)
    use_cores(connection, news.unread_bytes)
    drop_runs(connection, sorted(news.gone))
    ingest(connection, store, news.touched, news.positions)
    with transaction(connection):
        versions = [str(SCHEMA_VERSION), duckdb.__version__]
        connection.execute("DELETE FROM meta")
        connection.execute("INSERT INTO meta VALUES ('schema_version', ?), ('duckdb', ?)", versions)
    row = connection.execute("SELECT count(*) FROM runs").fetchone()
    connection.execute("CHECKPOINT")
    connection.execute("USE memory")
    connection.execute("DETACH snapshot")
    return int(row[0]) if row else 0


def _verify(connection: Connection, scratch: Path, runs: int) -> None:
    """A generation becomes current only after it was opened again and found to hold what was written."""
    attach(connection, scratch, "READ_ONLY")
    found = connection.execute("SELECT count(*) FROM snapshot.runs, snapshot.meta WHERE key = 'schema_version'").fetchone()
    connection.execute("DETACH snapshot")
    if found != (runs,):
        raise StoreError(f"{scratch} did not hold what was written to it", code="store-failed", hint="check the disk, then try again")


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
