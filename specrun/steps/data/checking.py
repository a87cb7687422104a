"""Asks DuckDB whether the expectations of a spec hold of the rows that were written. Runs where no training does: it imports duckdb."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.spec.document import Spec
from specrun.steps.data.expectations import IN_ORDER, SPLIT, Expectation, compile_checks, told

_FIRST = 3
_MEMORY = "1GiB"
_THREADS = 2


def check_expectations(spec: Spec, files: Mapping[str, Path], *, scratch: Path) -> list[str]:
    """The keys of the expectations that hold. files: the rows of each split; scratch: a folder for what does not fit in memory.

    Raises DataError that tells every one that does not, with how many rows break it and the first of them.
    """
    import duckdb

    with duckdb.connect(config={"memory_limit": _MEMORY, "threads": _THREADS, "temp_directory": str(scratch / "duckdb")}) as connection:
        places = " UNION ALL BY NAME ".join(
            f"SELECT *, {number} AS {SPLIT} FROM read_parquet({_text(str(path))})"  # noqa: S608 - of our own paths
            for number, path in enumerate(files.values())
        )
        connection.execute(f"CREATE VIEW rows AS {places}")
        types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE rows").fetchall()}
        (total,) = connection.execute("SELECT count(*) FROM rows").fetchall()[0]
        held, failed = [], []
        for one in compile_checks(spec, types):
            text = _failure(connection, one, tuple(files), total)
            held.append(one.key)
            failed += [text] if text else []
    if failed:
        raise told(failed)
    return held


def _failure(connection: Any, one: Expectation, splits: tuple[str, ...], total: int) -> str | None:
    """What is wrong, in words; None where it holds."""
    broken = f"FROM {one.source} WHERE {one.where}"
    (count,) = connection.execute(f"SELECT count(*) {broken}", one.parameters).fetchall()[0]
    if count <= one.allowed * total:
        return None
    shown = f"SELECT {SPLIT}, __row__, {one.shown} {broken} ORDER BY {IN_ORDER} LIMIT {_FIRST}"
    rows = connection.execute(shown, one.parameters).fetchall()
    first = ", ".join(f"row {row:,} of {splits[split]}" + (f" ({value})" if value is not None else "") for split, row, value in rows)
    more = " and more" if count > len(rows) else ""
    return f"{one.key}: {count:,} of {total:,} rows {one.broken}: {first}{more}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
