"""Columns of a table: whether what is asked for is there and of a kind that can be used, and texts as a column and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.errors import DataError
from specrun.spec.nearest import listed, nearest

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = "text"
"""The only column of a source of texts alone."""
_FLUSH_CHARACTERS = 1 << 22
_FLUSH_ROWS = 1 << 14


def check_column(schema: pa.Schema, name: str, *, key: str, among: Sequence[str] = ()) -> None:
    """Raise DataError for a column that is not there. key: of the spec that names it; among: columns that it may have meant, all where
    there are none."""
    if name in schema.names:
        return
    near = nearest(name, among or schema.names) or next(iter(among), None)
    raise DataError(
        f"the source has no column {name!r}; it has {listed(schema.names, 'and')}",
        code="missing-column",
        hint=f"set {key}: {near}" if near else f"set {key} to one of them",
    )


def check_text(schema: pa.Schema, name: str, *, key: str) -> None:
    """Raise DataError for a column that is not there or does not hold text."""
    textual = [field.name for field in schema if is_text(field.type)]
    without = "name a source with a column of text"
    if name not in schema.names and not textual:
        raise DataError(f"the source has no column {name!r}; it has {listed(schema.names, 'and')}", code="missing-column", hint=without)
    check_column(schema, name, key=key, among=textual)
    if name not in textual:
        message = f"column {name!r} holds {type_name(schema.field(name).type)}, not text"
        raise DataError(message, code="column-not-text", hint=f"set {key}: {textual[0]}" if textual else without)


def check_flat(schema: pa.Schema, name: str, *, key: str) -> None:
    """Raise DataError for a column whose values are lists or mappings, but for images."""
    import pyarrow as pa

    kind = schema.field(name).type
    if pa.types.is_nested(kind) and not is_image(kind):
        raise DataError(
            f"column {name!r} holds {type_name(kind)}; a column holds one value a row",
            code="nested-column",
            hint=f"name another column for {key}, or write its values to columns of their own",
        )


def check_same_columns(first: Path, names: Sequence[str], other: Path, others: Sequence[str]) -> None:
    """Raise DataError where two files of a split do not have the same columns, in whatever order."""
    lacking, more = [name for name in names if name not in others], [name for name in others if name not in names]
    if lacking or more:
        told = [f"lacks {listed(map(repr, lacking[:5]), 'and')}"] if lacking else []
        told += [f"has {listed(map(repr, more[:5]), 'and')}, which {first.name} has not"] if more else []
        hint = "files of one split have the same columns; make path a mapping for others: {train: ..., validation: ...}"
        raise DataError(f"{other}: {', and '.join(told)}", code="columns-differ", hint=hint)


def listed_columns(columns: Mapping[str, Any], most: int = 200) -> list[tuple[str, Any]]:
    """The first columns, so many as a record can show."""
    return list(islice(columns.items(), most))


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text, whichever of Arrow's layouts they have."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def is_image(kind: pa.DataType) -> bool:
    """Whether values are files with their names: struct<bytes: binary, path: string>."""
    import pyarrow as pa

    return pa.types.is_struct(kind) and {field.name for field in kind} == {"bytes", "path"}


def type_name(kind: pa.DataType) -> str:
    """What a type is called in messages."""
    text = str(kind)
    return text if len(text) <= 80 else text[:77] + "..."


def texts(batch: pa.RecordBatch) -> Iterator[str]:
    """The texts of a batch's first column. A missing one is empty: both hold nothing to learn."""
    return (text or "" for text in batch.column(0).to_pylist())


def text_batches(documents: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """Documents as batches of one column `text`, some megabytes each."""
    waiting: list[bytes] = []
    size = 0
    for document in documents:
        waiting.append(document.encode())
        size += len(document)
        if size >= _FLUSH_CHARACTERS or len(waiting) >= _FLUSH_ROWS:
            yield _text_batch(waiting)
            waiting, size = [], 0
    if waiting:
        yield _text_batch(waiting)


def _text_batch(waiting: Sequence[bytes]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([text_array(waiting)], names=[TEXT])


def text_array(encoded: Sequence[bytes]) -> Any:
    """A LargeStringArray over the bytes themselves: to convert Python's objects, pyarrow would import pandas, 45 MiB for nothing."""
    import numpy as np
    import pyarrow as pa

    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
