"""Builds the `sql` source: runs each query once and keeps its rows as Parquet while the source is read."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from specrun.errors import DataError
from specrun.sources.columns import listed_columns, type_name
from specrun.sources.contract import LoadedTable, SourceRequest, Table
from specrun.sources.duck import connect, lock, quoted
from specrun.sources.source_files import find_files
from specrun.sources.sql.options import READERS, Options, reader_of

_ROWS_AT_ONCE = 1 << 14


class _Scratch:
    """A folder that goes with the last who holds it."""

    def __init__(self, parent: Path | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=".query-", dir=parent))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The rows of a query. scratch: the folder they lie in."""

    file: Path
    schema: pa.Schema
    rows: int
    scratch: _Scratch


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Raises SourceUnavailable for missing files, DataError for a query that fails, changes something or gives no row.

    facts: query, rows and types of the columns, version of DuckDB, and those of all sources of files.
    """
    found = find_files(options, request)
    if request.downloads is not None:
        request.downloads.mkdir(parents=True, exist_ok=True)
    scratch = _Scratch(request.downloads)
    try:
        answers = _answers(options, found.by_split, scratch, request.key)
    except BaseException:
        scratch.remove()
        raise
    types = {field.name: type_name(field.type) for answer in answers.values() for field in answer.schema}
    facts = {
        "query": options.query,
        "duckdb": duckdb.__version__,
        "rows": {split: answer.rows for split, answer in answers.items()},
        "types": dict(listed_columns(types)),
        **found.facts,
    }
    tables = {split: _table(answer) for split, answer in answers.items()}
    return LoadedTable(tables, facts, found.warnings, found.variant, documents=options.documents)


def _answers(options: Options, tables: Mapping[str, Sequence[Path]], scratch: _Scratch, key: str) -> dict[str, _Answer]:
    """The rows of each split. key: of the source in the spec."""
    readable = [file for files in tables.values() for file in files]
    with connect(readable, memory_bytes=options.memory.bytes, spill=scratch.path / "spill") as connection:
        for view, files in tables.items():
            _make_view(connection, view, files)
        lock(connection)
        return {split: _ask(connection, query, split, scratch, key) for split, query in options.queries().items()}


def _make_view(connection: duckdb.DuckDBPyConnection, view: str, files: Sequence[Path]) -> None:
    reader = reader_of(files[0].name)
    if reader is None or any(reader_of(file.name) != reader for file in files):
        raise DataError(
            f"the files of {view} are not of one known format", code="unknown-format", hint=f"name files in {', '.join(READERS)}"
        )
    named = "[" + ", ".join(quoted(str(file.resolve())) for file in files) + "]"
    try:
        rows = READERS[reader].format(files=named)
        connection.execute(f'CREATE VIEW "{view}" AS SELECT * FROM {rows}')  # noqa: S608 - a name by its pattern, files as literals
    except duckdb.Error as error:
        raise DataError(
            f"the files of {view} cannot be read: {_said(error)}", code="unreadable-table", hint=f"check data.source.path.{view}"
        ) from None


def _ask(connection: duckdb.DuckDBPyConnection, query: str, split: str, scratch: _Scratch, key: str) -> _Answer:
    """Run a query and keep its rows. random() gives the same numbers each time."""
    file = scratch.path / f"{len(list(scratch.path.glob('*.parquet')))}.parquet"
    try:
        _check_select(connection, query, split)
        connection.execute("SELECT setseed(0.5)").fetchall()
        answer = connection.sql(query)
        reader = getattr(answer, "to_arrow_reader", answer.fetch_arrow_reader)(_ROWS_AT_ONCE)  # its name since DuckDB 1.6, and before
        schema = _plain_schema(reader.schema, split)
        rows = 0
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in reader:
                rows += batch.num_rows
                writer.write_batch(_plain(batch, schema))
    except duckdb.OutOfMemoryException as error:
        more = f"set {key}.memory to more"
        raise DataError(f"the query of {split} does not fit its memory: {_said(error)}", code="query-out-of-memory", hint=more) from None
    except duckdb.Error as error:
        raise _failed(error, split, key) from None
    if rows == 0:
        raise DataError(f"the query of {split} gives no row", code="no-rows", hint=f"check the conditions of {key}.query")
    return _Answer(file, schema, rows, scratch)


def _check_select(connection: duckdb.DuckDBPyConnection, query: str, split: str) -> None:
    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        what = f"{len(statements)} statements" if len(statements) != 1 else f"a statement of the kind {statements[0].type.name}"
        raise DataError(
            f"the query of {split} is {what}, not one SELECT", code="not-a-select", hint="write one SELECT, WITH before it if need be"
        )


def _failed(error: duckdb.Error, split: str, key: str) -> DataError:
    if isinstance(error, duckdb.PermissionException):
        hint = f"add the file to {key}.path under a name, and use that name in the query"
        return DataError(f"the query of {split} reads something other than its tables: {_said(error)}", code="query-reaches-out", hint=hint)
    hint = f"mend {key}.query; its tables are those of {key}.path"
    return DataError(f"the query of {split} fails: {_said(error)}", code="query-failed", hint=hint)


def _said(error: duckdb.Error) -> str:
    """DuckDB's message in a line, without its drawing of the place."""
    return " ".join(str(error).partition("\nLINE ")[0].split())[:400]


def _plain_schema(schema: pa.Schema, split: str) -> pa.Schema:
    """Columns as other sources give them: decimals, which sums of integers are, as numbers; enumerations as text."""
    twice = next((name for place, name in enumerate(schema.names) if name in schema.names[:place]), None)
    if twice is not None:
        raise DataError(
            f"the query of {split} gives two columns {twice!r}", code="duplicate-column", hint=f"name one anew: {twice} AS other"
        )
    return pa.schema([(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) and kind.tz is not None else kind


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns: list[Any] = []
    for column, field in zip(batch.columns, schema, strict=True):
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _table(answer: _Answer) -> Table:
    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(answer.file) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns), use_threads=False):
                yield batch.select(list(columns))

    return Table(answer.schema, read, rows=answer.rows)
