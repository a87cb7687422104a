"""DuckDB over named files and nothing else: it reads no other file, writes none, opens no connection and installs nothing.

The only door to DuckDB outside the records. It is for processes of their own: see `StepKind.isolated`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def connect(readable: Sequence[Path], *, memory_bytes: int, spill: Path) -> duckdb.DuckDBPyConnection:
    """An empty database in memory that may read these files. What does not fit so much memory goes to the folder `spill`.

    One thread: rows come in the same order each time. `lock` it before it is given a query that others wrote.
    """
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": f"{memory_bytes >> 10}KiB",
            "temp_directory": str(spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    files = ", ".join(quoted(str(path.resolve())) for path in readable)
    connection.execute(f"SET allowed_paths = [{files}]")
    connection.execute("SET enable_external_access = false")
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Let no statement change what the connection may do."""
    connection.execute("SET lock_configuration = true")


def quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
