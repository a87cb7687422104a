"""Prepares images for the `image_classification` task: every split decoded once, as bytes that are mapped into memory.

<split>.images.npy   uint8 (rows, channels, height, width)
<split>.labels.npy   int64 (rows,)    number of the class
<split>.rows.npy     int64 (rows,)    where each is in the source
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.events import Emit, Progress
from specrun.spec.nearest import listed
from specrun.tasks.class_labels import Classes, Labels, absent, classes_of
from specrun.tasks.contract import Prepared, PrepareRequest
from specrun.tasks.image_classification.decoding import Decoded, Pixels, Row, check_alike, decode
from specrun.tasks.image_classification.options import Options

SPLITS = ("train", "validation", "test")
ARRAYS = ("images", "labels", "rows")
ROW = "__row__"
_SMOKE_ROWS = 256
_ROWS_AT_ONCE = 256
_SHOWN_CLASSES = 10


class _Source(NamedTuple):
    """A split as the data step left it. rows: how many are taken, the first ones."""

    split: str
    path: Path
    rows: int


@dataclass(slots=True)
class _Statistics:
    """Sums over the pixels of each channel, exact whole numbers."""

    count: int = 0
    sums: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    squares: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))

    def add(self, pixels_CHW: Pixels) -> None:
        flat = pixels_CHW.reshape(len(pixels_CHW), -1).astype(np.int64)
        self.count += flat.shape[1]
        self.sums = self.sums + flat.sum(axis=1)
        self.squares = self.squares + np.square(flat).sum(axis=1)

    def told(self) -> dict[str, list[float]]:
        """Mean and standard deviation of values from 0 to 1."""
        sums, squares = self.sums.tolist(), self.squares.tolist()
        # In whole numbers until the last: a difference of two large means would lose what it is about.
        variances = [(self.count * square - total**2) / self.count**2 for total, square in zip(sums, squares, strict=True)]
        return {"mean": [total / self.count / 255 for total in sums], "std": [math.sqrt(variance) / 255 for variance in variances]}


def prepare(options: Options, request: PrepareRequest) -> Prepared:
    """Decode every image. values: sizes, splits, classes, class_counts {split: rows of each}, mean and std of the train split's channels on
    a scale from 0 to 1, color. Raises: DataError with the row of what is wrong."""
    data, columns = request.folders["data"], request.spec.data.columns
    statistics, labels, first = _Statistics(), dict[str, Labels](), None
    sources = [_source(split, data / f"{split}.parquet", smoke=request.smoke) for split in SPLITS if (data / f"{split}.parquet").is_file()]
    for source in sources:
        labels[source.split] = Labels(source.split, columns.label)
        writer: _Writer | None = None
        for image, label in _decoded(source, options, request.emit, image=columns.image, label=columns.label):
            first = first or image
            check_alike(first, image)
            writer = writer or _Writer(request.folder / f"{source.split}.images.npy", (source.rows, *image.pixels.shape))
            writer.add(image.pixels)
            labels[source.split].add(label, image.row.number)
            if source.split == "train":
                statistics.add(image.pixels)
        assert writer is not None, "a split of no rows is refused before"
        writer.close()
    assert first is not None, "the data step leaves no split empty"
    names = request.facts.get("data", {}).get("class_names", {}).get(columns.label)
    return _told(labels, classes_of(labels["train"], names), statistics, first, request.folder)


def _told(labels: Mapping[str, Labels], classes: Classes, statistics: _Statistics, first: Decoded, folder: Path) -> Prepared:
    """Write what is known once all is read, and tell it."""
    codes = {split: classes.codes(them) for split, them in labels.items()}
    for split, them in labels.items():
        np.save(folder / f"{split}.labels.npy", codes[split])
        np.save(folder / f"{split}.rows.npy", np.array(them.rows, dtype=np.int64))
    channels, height, width = first.pixels.shape
    values: dict[str, Any] = {
        "sizes": {"channels": channels, "height": height, "width": width, "num_classes": len(classes.names)},
        "splits": {split: {"samples": len(code), "predictions": len(code), "positions": len(code)} for split, code in codes.items()},
        "classes": list(classes.names),
        "class_counts": {split: np.bincount(code, minlength=len(classes.names)).tolist() for split, code in codes.items()},
        "color": first.color,
        **statistics.told(),
    }
    artifacts = dict.fromkeys((f"{split}.{array}.npy" for split in labels for array in ARRAYS), "examples")
    return Prepared(values, artifacts, tuple(_warnings(classes, codes, values["std"])))


def _warnings(classes: Classes, codes: Mapping[str, npt.NDArray[np.int64]], std: list[float]) -> Iterator[tuple[str, str]]:
    if lacking := absent(classes, codes["train"]):
        more = f" and {len(lacking) - _SHOWN_CLASSES} more" if len(lacking) > _SHOWN_CLASSES else ""
        yield (
            "class-without-samples",
            f"the train split has no image of {listed(lacking[:_SHOWN_CLASSES], 'and')}{more}: none can be learned",
        )
    if not all(std):
        yield "constant-channel", "a channel has one value in all images of the train split: it tells nothing"


def _source(split: str, path: Path, *, smoke: bool) -> _Source:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
    if not rows:
        raise DataError(f"the {split} split has no rows", code="empty-split", hint="give it a larger share in data.split")
    return _Source(split, path, min(rows, _SMOKE_ROWS) if smoke else rows)


def _decoded(source: _Source, options: Options, emit: Emit, *, image: str, label: str) -> Iterator[tuple[Decoded, object]]:
    """Images and labels in their order; several are decoded at once, and what Pillow warns of is not shown."""
    read: Callable[[Row], Decoded] = partial(decode, size=options.extent, color=options.color)
    done = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for rows, labels in _rows(source, image=image, label=label):
            emit(Progress("examples", done, source.rows, "image"))
            # Decoded before any is given on: warnings are the whole process's, and are left as they were.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                decoded = list(pool.map(read, rows))
            yield from zip(decoded, labels, strict=True)
            done += len(rows)


def _rows(source: _Source, *, image: str, label: str) -> Iterator[tuple[list[Row], list[object]]]:
    import pyarrow.parquet as pq

    left = source.rows
    with pq.ParquetFile(source.path) as file:
        _check_images(file.schema_arrow.field(image), source.split)
        for whole in file.iter_batches(_ROWS_AT_ONCE, columns=list(dict.fromkeys([image, label, ROW]))):
            batch = whole.slice(0, left)
            left -= len(batch)
            images, numbers = batch.column(image).to_pylist(), batch.column(ROW).to_pylist()
            yield [_row(source.split, *one) for one in zip(numbers, images, strict=True)], batch.column(label).to_pylist()
            if not left:
                return


def _row(split: str, number: int, stored: Any) -> Row:
    if isinstance(stored, dict):
        return Row(split, number, stored.get("bytes"), stored.get("path"))
    return Row(split, number, stored)


def _check_images(field: Any, split: str) -> None:
    import pyarrow as pa

    kind = field.type
    stored = kind.field("bytes").type if pa.types.is_struct(kind) and "bytes" in [part.name for part in kind] else kind
    if not (pa.types.is_binary(stored) or pa.types.is_large_binary(stored)):
        raise DataError(f"column {field.name!r} of {split} holds {kind}, not encoded images", code="column-not-images",
                        hint="name a column of images in data.columns.image")  # fmt: skip


class _Writer:
    """Fills an array on disk, row by row."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        self._row = 0

    def add(self, pixels: Pixels) -> None:
        self._array[self._row] = pixels
        self._row += 1

    def close(self) -> None:
        assert self._row == len(self._array), "not as many rows as the file says"
        self._array.flush()
