"""Builds the `json` source. The files are read twice: once to find the columns and their types, and again for the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from specrun.errors import DataError
from specrun.sources.columns import listed_columns
from specrun.sources.contract import LoadedTable, SourceRequest, Table
from specrun.sources.json.kinds import Kinds, parse
from specrun.sources.json.objects import Block, blocks, rows_of
from specrun.sources.json.options import Options
from specrun.sources.source_files import find_files
from specrun.sources.value_types import convert


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Raises SourceUnavailable for missing files, DataError for rows that cannot be read and for a split without one.

    facts: rows and types of the columns, and those of all sources of files.
    """
    found = find_files(options, request)
    kinds = Kinds()
    counts = {split: _read_once(paths, kinds, split) for split, paths in found.by_split.items()}
    facts = {
        "rows": {split: rows for split, (rows, _) in counts.items()},
        "types": {name: str(kinds.field(name).type)[:80] for name, _ in listed_columns(dict.fromkeys(kinds.names))},
        **found.facts,
    }
    tables = {split: _table(paths, kinds, *counts[split]) for split, paths in found.by_split.items()}
    return LoadedTable(tables, facts, found.warnings, found.variant, documents=options.documents)


def _read_once(paths: Sequence[Path], kinds: Kinds, split: str) -> tuple[int, list[str]]:
    """Returns: rows and columns of a split, in the order in which they come."""
    total = 0
    names: dict[str, None] = {}
    for path in paths:
        for block in _numbered(path):
            rows, found = kinds.add(path, block)
            total += rows
            names.update(dict.fromkeys(found))
    if total == 0 or not names:
        raise DataError(f"{paths[0]}: split {split!r} has no rows", code="no-rows", hint="name files that hold objects")
    return total, list(names)


def _numbered(path: Path) -> Iterator[Block]:
    rows, line = 0, 1
    for data, in_list in blocks(path):
        block = Block(data, rows, None if in_list else line)
        yield block
        rows += sum(1 for part in data.split(b"\n") if part.strip())
        line += data.count(b"\n")


def _table(paths: Sequence[Path], kinds: Kinds, rows: int, names: Sequence[str]) -> Table:
    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        kinds.check(columns)
        wanted = pa.schema([kinds.field(name) for name in columns])
        written = pa.schema([(name, pa.string() if kinds.is_text(name) else kinds.field(name).type) for name in columns])
        for path in paths:
            for block in _numbered(path):
                yield from _values(path, block, written, wanted, kinds)

    return Table(pa.schema([kinds.field(name) for name in names]), read, rows=rows)


def _values(path: Path, block: Block, written: pa.Schema, wanted: pa.Schema, kinds: Kinds) -> Iterator[pa.RecordBatch]:
    try:
        table = parse(block.data, written, infer=False)
    except pa.ArrowInvalid as error:
        for _ in rows_of(path, block):  # says which
            pass
        message = f"{path}: a row after {block.rows_before:,} cannot be read: {error}"
        raise DataError(message, code="not-json", hint="repair it, or write it anew") from error
    for batch in table.combine_chunks().to_batches():
        values = [
            convert(batch.column(name), kinds.form(name), kinds.notation) if kinds.is_text(name) else batch.column(name)
            for name in wanted.names
        ]
        yield pa.RecordBatch.from_arrays(values, schema=wanted)
