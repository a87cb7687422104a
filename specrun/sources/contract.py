"""What a source is asked for and what it returns.

    def build(options: Options, request: SourceRequest) -> LoadedText | LoadedTable

A source of texts alone gives documents, one of rows a table. `load_text` and `load_table` turn the one into the other.
A source of a user's own follows the same contract.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from specrun.errors import DataError
from specrun.events import Emit
from specrun.spec.section import Part

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE = "whole"
"""Name of the only split of a source that has no splits of its own."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """What a source may see of the world. base_folder: where a relative path starts; data_root: folder of Hub mirrors."""

    base_folder: Path
    emit: Emit
    text_column: str = "text"
    data_root: Path | None = None
    key: str = "data.source"


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
    """Tables by split. facts, warnings, variant: as LoadedText's."""

    splits: Mapping[str, Table]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    variant: str | None = None


class SourceUnavailable(DataError):
    """The source cannot be reached or is not there, so that a fallback may stand in. Anything wrong *in* the data is not this."""


class Documents(Iterable[str]):
    """Makes an iterator function an iterable that starts afresh each time it is read."""

    def __init__(self, read: Callable[[], Iterator[str]]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[str]:
        return self._read()


def load_text(options: Part, request: SourceRequest) -> LoadedText:
    """Build a source from its options. Raises SourceUnavailable or another DataError."""
    module, name = options.factory.split(":")
    return cast("LoadedText", getattr(importlib.import_module(module), name)(options, request))
