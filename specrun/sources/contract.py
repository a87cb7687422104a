"""What a source is asked for and what it returns.

    def build(options: Options, request: SourceRequest) -> LoadedText | LoadedTable

A source of texts alone gives documents, one of rows a table. `load_text` and `load_table` turn the one into the other.
A source of a user's own follows the same contract.

facts that more than the report reads: class_names {column: [name of class 0, ...]}, of columns that hold classes by their numbers, -1
where a row tells none.

What is wrong with a value (bytes that do not decode, a word where a number should be) is raised where the rows are read, as a
DataError with the number of the row, counted from 1 in its split.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from specrun.errors import DataError
from specrun.events import Emit
from specrun.sources.columns import TEXT, check_text, text_batches, texts
from specrun.spec.section import Part

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = "whole"
"""Name of the only split of a source that has no splits of its own."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What a source may see of the world. base_folder: where a relative path starts; data_root: folder of Hub mirrors; downloads:
    folder where what is fetched from an address stays; None: one of the system's for temporary files."""

    base_folder: Path
    emit: Emit
    text_column: str = "text"
    data_root: Path | None = None
    key: str = "data.source"
    downloads: Path | None = None


@dataclass(frozen=True, slots=True)
class LoadedText:
    """Documents by split, each an iterable that can be read more than once.

    facts: plain JSON about what was read (revision, files, versions), shown in the report. variant: what decides the text and
    could not be known before it was loaded (the commit of a Hub dataset without a pinned revision).
    """

    splits: Mapping[str, Iterable[str]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a split that can be read more than once, in bounded memory. schema: of all columns there are; read: batches of the named
    columns in the source's order; rows: how many, None where only reading would tell."""

    schema: pa.Schema
    read: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """Tables by split. facts, warnings, variant: as LoadedText's. documents: what a document is where texts are wanted: a row, or all
    rows of a split joined as they are."""

    splits: Mapping[str, Table]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    variant: str | None = None
    documents: Literal["rows", "joined"] = "rows"


class SourceUnavailable(DataError):
    """The source cannot be reached or is not there, so that a fallback may stand in. Anything wrong *in* the data is not this."""


class Documents(Iterable[str]):
    """Makes an iterator function an iterable that starts afresh each time it is read."""

    def __init__(self, read: Callable[[], Iterator[str]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[str]:
        return self._read()


def load_text(options: Part, request: SourceRequest) -> LoadedText:
    """Build a source and give its documents; of a table, those in the column `request.text_column`.

    Raises SourceUnavailable or another DataError, among them one for a column that is not there or holds no text.
    """
    loaded = _build(options, request)
    if isinstance(loaded, LoadedText):
        return loaded
    joined = loaded.documents == "joined"
    splits = {name: _documents(table, request.text_column, joined=joined) for name, table in loaded.splits.items()}
    return LoadedText(splits, loaded.facts, loaded.warnings, loaded.variant)


def load_table(options: Part, request: SourceRequest) -> LoadedTable:
    """Build a source and give its rows; documents become the rows of a table with one column, `text`.

    Raises SourceUnavailable or another DataError.
    """
    loaded = _build(options, request)
    if isinstance(loaded, LoadedTable):
        return loaded
    splits = {name: _table(documents) for name, documents in loaded.splits.items()}
    return LoadedTable(splits, loaded.facts, loaded.warnings, loaded.variant)


def _build(options: Part, request: SourceRequest) -> LoadedText | LoadedTable:
    module, name = options.factory.split(":")
    return cast("LoadedText | LoadedTable", getattr(importlib.import_module(module), name)(options, request))


def _documents(table: Table, column: str, *, joined: bool) -> Documents:
    check_text(table.schema, column, key="data.columns.text")

    def rows() -> Iterator[str]:
        for batch in table.read([column]):
            yield from texts(batch)

    def whole() -> Iterator[str]:
        yield "".join(rows())

    return Documents(whole if joined else rows)


def _table(documents: Iterable[str]) -> Table:
    import pyarrow as pa

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        assert set(columns) <= {TEXT}, columns
        return text_batches(documents)

    return Table(pa.schema([(TEXT, pa.large_string())]), read)
