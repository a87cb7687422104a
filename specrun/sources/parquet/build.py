"""Builds the `parquet` source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from specrun.errors import DataError
from specrun.sources.columns import check_same_columns, listed_columns, type_name
from specrun.sources.contract import LoadedTable, SourceRequest, Table
from specrun.sources.parquet.options import Options
from specrun.sources.source_files import find_files

_ROWS_AT_ONCE = 4096


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Raises SourceUnavailable for missing files, DataError for damaged ones, for types that differ and for a split without a row.

    facts: rows and types of the columns, and those of all sources of files.
    """
    found = find_files(options, request)
    tables = {split: _table(paths, split) for split, paths in found.by_split.items()}
    types = {field.name: type_name(field.type) for table in tables.values() for field in table.schema}
    facts = {
        "rows": {split: table.rows for split, table in tables.items()},
        "types": dict(listed_columns(types)),
        **found.facts,
    }
    return LoadedTable(tables, facts, found.warnings, found.variant, documents=options.documents)


def _table(paths: Sequence[Path], split: str) -> Table:
    schemas, rows = [], 0
    for path in paths:
        with _opened(path) as file:
            schemas.append(_schema(path, file))
            rows += file.metadata.num_rows
    for path, schema in zip(paths, schemas, strict=True):
        _check_same(paths[0], schemas[0], path, schema)
    if rows == 0:
        raise DataError(f"{paths[0]}: split {split!r} has columns and no rows", code="no-rows", hint="name files that hold rows")
    return Table(schemas[0], lambda columns: _read(paths, schemas[0], columns), rows=rows)


def _read(paths: Sequence[Path], schema: pa.Schema, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    wanted = pa.schema([schema.field(name) for name in columns])
    for path in paths:
        with _opened(path) as file:
            try:
                for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=list(columns), use_threads=False):
                    values = [_plain(batch.column(name)) for name in columns]
                    yield pa.RecordBatch.from_arrays(values, schema=wanted)
            except (pa.ArrowInvalid, OSError) as error:
                raise _damaged(path, error) from error


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    why = " ".join(str(error).split())[:300]
    return DataError(f"{path} is not whole, or not Parquet: {why}", code="unreadable-parquet", hint="fetch or write it anew")


def _schema(path: Path, file: pq.ParquetFile) -> pa.Schema:
    """The file's columns, those of a dictionary as what is in it."""
    schema = file.schema_arrow.remove_metadata()
    twice = next((name for place, name in enumerate(schema.names) if name in schema.names[:place]), None)
    if twice is not None:
        raise DataError(f"{path} has two columns {twice!r}", code="duplicate-column", hint="give each column a name of its own")
    return pa.schema([(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type) for field in schema])


def _plain(values: pa.Array) -> pa.Array:
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _check_same(first: Path, schema: pa.Schema, other: Path, others: pa.Schema) -> None:
    check_same_columns(first, schema.names, other, others.names)
    for field in schema:
        theirs = others.field(field.name).type
        if theirs != field.type:
            message = f"{other}: column {field.name!r} holds {type_name(theirs)}, in {first.name} {type_name(field.type)}"
            raise DataError(message, code="types-differ", hint="write the files with the same types")
