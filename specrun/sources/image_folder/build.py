"""Builds the `image_folder` source: files are read as their rows are asked for, some at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from specrun.errors import DataError
from specrun.sources.contract import LoadedTable, SourceRequest, SourceUnavailable, Table
from specrun.sources.image_folder.listing import ImageFile, stray_warning
from specrun.sources.image_folder.options import Options

_ROWS_AT_ONCE = 256
_BYTES_AT_ONCE = 2**25
_SCHEMA = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.string())])


def build(options: Options, request: SourceRequest) -> LoadedTable:
    """Raises SourceUnavailable for a missing folder, DataError for one that holds no images, or something amiss.

    facts: rows of each split, images of each class {split: {class: count}}, strays left out.
    """
    if (fault := options.missing(request.base_folder)) is not None:
        raise SourceUnavailable(fault.message, code=fault.code, hint=fault.hint)
    listing = options.listing(request.base_folder)
    for fault in listing.faults:
        raise DataError(fault.message, code=fault.code, hint=fault.hint)
    splits = listing.splits
    facts = {
        "rows": {split: len(images) for split, images in splits.items()},
        "classes": {split: dict(sorted(Counter(image.label for image in images).items())) for split, images in splits.items()},
        "strays": len(listing.strays),
    }
    warnings = (("stray-files", stray_warning(listing.strays)),) if listing.strays else ()
    return LoadedTable({split: _table(images) for split, images in splits.items()}, facts, warnings)


def _table(images: Sequence[ImageFile]) -> Table:
    return Table(_SCHEMA, lambda columns: _read(images, columns), rows=len(images))


def _read(images: Sequence[ImageFile], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Batches of so many images or bytes, at least one image. Files are read only where their column is asked for."""
    schema, rows, held = pa.schema([_SCHEMA.field(name) for name in columns]), list[dict[str, object]](), 0
    for image in images:
        row: dict[str, object] = {"label": image.label}
        if "image" in columns:
            data = _bytes(image.path)
            held += len(data)
            row["image"] = {"bytes": data, "path": image.name}
        rows.append({name: row[name] for name in columns})
        if len(rows) == _ROWS_AT_ONCE or held >= _BYTES_AT_ONCE:
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
            rows, held = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=schema)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", code="unreadable-file", hint="make it readable, or remove it") from error
