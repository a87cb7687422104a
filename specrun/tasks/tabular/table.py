"""The rows of a split as it lies on disk, a batch at a time, as numbers or words. A value that cannot be read is an error with its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.tasks.tabular.columns import ROW

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 1 << 16
_LARGEST = 1e100
"""Squares of larger numbers are beyond float64."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Column:
    """Values of a column in some rows that follow one another. row: of each, where it is in the source, from 1."""

    split: str
    name: str
    values: pa.Array
    row: npt.NDArray[np.int64]

    def numbers(self) -> Numbers:
        """As numbers, NaN where there is none. Raises: DataError for a word that is no number, and one beyond what can be computed with."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = self._plain()
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = self._parsed(values)
        found: Numbers = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan).to_numpy(zero_copy_only=False)
        if (bad := np.flatnonzero(np.abs(found) > _LARGEST)).size:
            raise DataError(f"{self._place(bad[0])} is {found[bad[0]]:g}: numbers go to {_LARGEST:g}", code="number-out-of-range",
                            hint="correct it, or leave it empty: it is then missing")  # fmt: skip
        return found

    def words(self) -> pa.Array:
        """As text, null where there is none; an empty text is none either."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values = self._plain()
        if pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), None, values)
        words = values.cast(pa.large_string())
        return pc.if_else(pc.equal(words, ""), None, words)

    def _plain(self) -> Any:
        import pyarrow as pa

        return self.values.cast(self.values.type.value_type) if pa.types.is_dictionary(self.values.type) else self.values

    def _parsed(self, texts: Any) -> Any:
        """Numbers that are written as text, as a file has them where one of them is not a number."""
        import pyarrow as pa
        import pyarrow.compute as pc

        trimmed = pc.utf8_trim_whitespace(texts)
        trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        try:
            return trimmed.cast(pa.float64())
        except pa.ArrowInvalid:
            bad = next(place for place, text in enumerate(trimmed.to_pylist()) if text is not None and not _is_number(text))
            raise DataError(f"{self._place(bad)} is {texts[bad].as_py()[:80]!r}, which is not a number", code="wrong-type",
                            hint=f"correct it, or read {self.name} as words: data.columns.categories: [{self.name}]") from None  # fmt: skip

    def _place(self, number: int) -> str:
        return f"{self.name} in row {self.row[number]} of {self.split}"

    def refuse_missing(self, missing_B: npt.NDArray[np.bool_]) -> None:
        """Raises: DataError for the first row where that is so: a target has to be there."""
        if (bad := np.flatnonzero(missing_B)).size:
            more = f", and so it is in {len(bad) - 1} rows that follow" if len(bad) > 1 else ""
            raise DataError(f"{self._place(bad[0])} is empty, and it is the target{more}", code="missing-target",
                            hint="fill it in, or leave such rows out of the data")  # fmt: skip


def _is_number(text: str) -> bool:
    import pyarrow as pa

    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


class Table:
    """A split on disk. rows: how many are read, the first ones; all where limit is None."""

    def __init__(self, folder: Path, split: str, *, limit: int | None = None) -> None:
        import pyarrow.parquet as pq

        self.path, self.split = folder / f"{split}.parquet", split
        with pq.ParquetFile(self.path) as file:
            self.schema: pa.Schema = file.schema_arrow
            self.rows = file.metadata.num_rows if limit is None else min(limit, file.metadata.num_rows)

    def batches(self, names: Sequence[str]) -> Iterator[dict[str, Column]]:
        """The named columns, a batch of rows at a time, in order."""
        import pyarrow.parquet as pq

        left = self.rows
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=[ROW, *names]) if left else ():
                taken = batch.slice(0, left)
                left -= len(taken)
                row = taken.column(ROW).to_numpy()
                yield {name: Column(self.split, name, taken.column(name), row) for name in names}
                if not left:
                    return
