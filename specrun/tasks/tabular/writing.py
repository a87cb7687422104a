"""Writes a split as arrays, encoded as the train split says, and tells what in it the train split had not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.plan.figures import plural
from specrun.spec.nearest import nearest
from specrun.tasks.tabular.columns import form_of
from specrun.tasks.tabular.encoding import Encoding, place_of
from specrun.tasks.tabular.table import Column, Table
from specrun.tasks.tabular.targets import FEW_VALUES

ARRAYS = ("numbers", "categories", "targets", "rows")
_TOLD = 10


class _Unfamiliar:
    """Values of a split that the train split has not: of each column how many rows, and the first."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def note(self, column: Column, where_B: npt.NDArray[np.bool_], *, read_as: str) -> None:
        """Count the rows of a batch where that is so. read_as: what becomes of them."""
        places = np.flatnonzero(where_B)
        if not places.size:
            return
        if column.name not in self._rows:
            word = column.words()[int(places[0])].as_py()
            what = "is missing" if word is None else f"is {word[:80]!r}"
            where = f"{column.name} in row {column.row[places[0]]} of {column.split}"
            self._first[column.name] = f"{where} {what}, as in no row of the train split, and is read as {read_as}"
        self._rows[column.name] = self._rows.get(column.name, 0) + places.size

    @property
    def warnings(self) -> list[tuple[str, str]]:
        told = [("unseen-value", f"{self._first[name]}; rows like it: {rows:,}") for name, rows in self._rows.items()][:_TOLD]
        more = len(self._rows) - len(told)
        return [*told, ("unseen-value", f"values that the train split lacks are in {plural(more, 'further column')} too")] if more else told


def write(table: Table, encoding: Encoding, folder: Path) -> list[tuple[str, str]]:
    """Every array of a split, a batch of rows at a time. Returns: warnings. Raises: DataError with the row of what is wrong."""
    arrays = _open(table, encoding, folder)
    unfamiliar, start, names = _Unfamiliar(), 0, encoding.columns
    for batch in table.batches(names):
        row = batch[names[0]].row
        here = slice(start, start + len(row))
        arrays["rows"][here] = row
        arrays["targets"][here] = _targets(encoding, batch)
        place = 0
        for number in encoding.numbers:
            values_B = batch[number.name].numbers()
            for one in number.encode(values_B):
                arrays["numbers"][here, place] = one
                place += 1
            if not number.missing:
                unfamiliar.note(batch[number.name], np.isnan(values_B), read_as=f"the median, {number.median:g}")
        for place, category in enumerate(encoding.categories):
            codes = category.encode(batch[category.name].words())
            arrays["categories"][here, place] = codes
            unfamiliar.note(batch[category.name], codes == 0, read_as="an unknown category")
        start += len(row)
    for array in arrays.values():
        array.flush()
    return unfamiliar.warnings


def _open(table: Table, encoding: Encoding, folder: Path) -> dict[str, np.memmap[Any, Any]]:
    shapes: dict[str, tuple[tuple[int, ...], type[Any]]] = {
        "numbers": ((table.rows, len(encoding.inputs)), np.float32),
        "categories": ((table.rows, len(encoding.categories)), np.int32),
        "targets": ((table.rows, len(encoding.targets)), np.int32 if encoding.classes else np.float32),
        "rows": ((table.rows,), np.int64),
    }
    assert set(shapes) == set(ARRAYS)
    return {
        name: np.lib.format.open_memmap(folder / f"{table.split}.{name}.npy", mode="w+", dtype=dtype, shape=shape)
        for name, (shape, dtype) in shapes.items()
    }


def _targets(encoding: Encoding, batch: Mapping[str, Column]) -> npt.NDArray[Any]:
    """Standardised numbers, float32 (B, Y), or classes, int32 (B, 1). Raises: DataError for a missing one, and for a class that the
    train split lacks."""
    if encoding.classes:
        target = encoding.targets[0]
        column, words = batch[target.name], batch[target.name].words()
        column.refuse_missing(words.is_null().to_numpy(zero_copy_only=False))
        codes = place_of(words, target.classes)
        if (bad := np.flatnonzero(codes < 0)).size:
            where = f"{target.name} in row {column.row[bad[0]]} of {column.split}"
            word = words[int(bad[0])].as_py()[:80]
            near = nearest(word, target.classes)
            meant = f'did you mean "{near}"? ' if near else ""
            if len(target.classes) > FEW_VALUES and form_of(column.values.type) in {"whole", "number"}:
                meant = f"the train split has {len(target.classes):,} classes, all of them numbers: set task.objective: regression; or "
            raise DataError(f"{where} is {word!r}, a class that the train split has not", code="unseen-label",
                            hint=f"{meant}correct it, or split the data so that every class is in the train split")  # fmt: skip
        return codes[:, None]
    found = []
    for target in encoding.targets:
        values_B = batch[target.name].numbers()
        batch[target.name].refuse_missing(np.isnan(values_B))
        found.append((values_B - target.mean) / target.std)
    return np.stack(found, axis=1).astype(np.float32)
