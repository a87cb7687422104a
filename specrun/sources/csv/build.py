"""Builds the `csv` source. The files are read twice: once to find the types of their columns, and again for the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from specrun.errors import DataError
from specrun.sources.columns import check_same_columns, listed_columns
from specrun.sources.contract import LoadedTable, SourceRequest, Table
from specrun.sources.csv.options import Options
from specrun.sources.csv.rows import Layout, layout_of, string_batches, with_growing_blocks
from specrun.sources.source_files import find_files
from specrun.sources.value_types import Notation, TypeInference, arrow_type, convert
from specrun.spec.nearest import nearest


@dataclass(frozen=True, slots=True)
class _File:
    """A file whose rows have been read once."""

    path: Path
    layout: Layout
    rows: int
    block_bytes: int


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Raises SourceUnavailable for missing files, DataError for rows that cannot be read and for a split without one.

    facts: encoding, rows and types of the columns, and those of all sources of files.
    """
    found = find_files(options, request)
    notation = Notation(declared=options.types, decimal=options.decimal, time_format=options.time_format)
    inference = TypeInference(notation)
    files = {split: _read_once(paths, inference, options, split=split) for split, paths in found.by_split.items()}
    columns = {name: inference.form(name) for of_split in files.values() for name in of_split[0].layout.names}
    _check_types(options, columns)
    schemas = {
        split: pa.schema([(name, arrow_type(columns[name])) for name in of_split[0].layout.names]) for split, of_split in files.items()
    }
    facts = {
        "encoding": options.encoding,
        "rows": {split: sum(file.rows for file in of_split) for split, of_split in files.items()},
        "types": {name: form or "missing" for name, form in listed_columns(columns)},
        **found.facts,
    }
    tables = {split: _table(of_split, schemas[split], columns, options, notation) for split, of_split in files.items()}
    warnings = (*found.warnings, *_unnamed(files))
    return LoadedTable(tables, facts, warnings, found.variant, documents=options.documents)


def _read_once(paths: Sequence[Path], inference: TypeInference, options: Options, *, split: str) -> list[_File]:
    files: list[_File] = []
    for path in paths:
        layout = layout_of(path, options)
        if layout is None:
            raise DataError(f"{path} is empty", code="empty-file", hint="remove it, or write it anew")
        if files:
            check_same_columns(files[0].path, files[0].layout.names, path, layout.names)
        files.append(_File(path, layout, *_types_of(path, layout, inference, options)))
    if not any(file.rows for file in files):
        raise DataError(f"{paths[0]}: split {split!r} has a header and no rows", code="no-rows", hint="name files that hold rows")
    return files


def _types_of(path: Path, layout: Layout, inference: TypeInference, options: Options) -> tuple[int, int]:
    """Returns: rows, bytes of a block that holds the longest."""
    rows = 0

    def read(block_bytes: int) -> None:
        nonlocal rows
        rows = 0
        for batch in string_batches(path, layout, options, layout.names, block_bytes=block_bytes):
            inference.add(batch, file=path, rows_before=rows)
            rows += batch.num_rows

    block_bytes = with_growing_blocks(read, path)
    return rows, block_bytes


def _table(files: Sequence[_File], schema: pa.Schema, forms: Mapping[str, Any], options: Options, notation: Notation) -> Table:
    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([schema.field(name) for name in columns])
        for file in files:
            for batch in string_batches(file.path, file.layout, options, columns, block_bytes=file.block_bytes):
                values = [convert(texts, forms[name], notation) for name, texts in zip(columns, batch.columns, strict=True)]
                yield pa.RecordBatch.from_arrays(values, schema=wanted)

    return Table(schema, read, rows=sum(file.rows for file in files))


def _check_types(options: Options, columns: Mapping[str, Any]) -> None:
    for name in options.types:
        if name not in columns:
            near = nearest(name, columns)
            hint = f'did you mean "{near}"?' if near else "remove it"
            raise DataError(f"data.source.types names {name!r}, which no file has as a column", code="missing-column", hint=hint)


def _unnamed(files: Mapping[str, Sequence[_File]]) -> Iterator[tuple[str, str]]:
    first = next(iter(files.values()))[0]
    for place in first.layout.unnamed:
        yield "unnamed-column", f"{first.path.name}: the header has no name for column {place}; it is read as column_{place}"
