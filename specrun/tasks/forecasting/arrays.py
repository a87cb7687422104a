"""The prepared examples as they lie on the disk, opened: what each holds is said in `prepare`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.tasks.forecasting.columns import SPLITS, Floats, Integers

Array = npt.NDArray[Any]
NAMES = "series.json"
_HEADER_BYTES = 128


@dataclass(frozen=True, slots=True)
class Arrays:
    """Maps of the files. starts: first rows of the windows of each split; names: of the series."""

    values: Array
    known: Array
    categories: Array
    static: Array
    static_categories: Array
    scales: Floats
    times: Integers
    series: Integers
    train_runs: Integers
    starts: Mapping[str, Integers]
    names: tuple[str, ...]

    @property
    def of_rows(self) -> tuple[Array, Array, Array]:
        """What has a row for each row of the data."""
        return self.values, self.known, self.categories

    def series_of(self, rows: Integers) -> Integers:
        """Which series each row is of."""
        return np.searchsorted(self.series, rows, side="right") - 1


def open_arrays(folder: Path) -> Arrays:
    """Map the files that `prepare` left in a folder."""

    def read(name: str) -> Array:
        path = folder / f"{name}.npy"
        # An array of nothing cannot be mapped. A plain array over the map: numpy's memmap class costs microseconds in each operation.
        return np.asarray(np.load(path, mmap_mode="r" if path.stat().st_size > _HEADER_BYTES else None))

    starts = {split: read(split) for split in SPLITS if (folder / f"{split}.npy").is_file()}
    names = tuple(json.loads((folder / NAMES).read_text(encoding="utf-8")))
    arrays = {field.name: read(field.name) for field in fields(Arrays) if field.name not in {"starts", "names"}}
    return Arrays(**arrays, starts=starts, names=names)
