"""The texts of a split with their labels, as the data step left them: a bounded batch at a time, what is missing an error with its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.errors import DataError

ROW = "__row__"
_ROWS_AT_ONCE = 8192
_CHARACTERS_AT_ONCE = 1 << 20
"""Text encoded at once; the library needs some 100 bytes a token while it works."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Rows that follow one another. rows: where each is in the source, from 1."""

    texts: list[str]
    labels: list[object]
    rows: list[int]


@dataclass(frozen=True, slots=True)
class TextTable:
    """A split on disk. text, label: names of its columns; rows: how many are read, the first ones."""

    split: str
    path: Path
    text: str
    label: str
    rows: int

    def batches(self) -> Iterator[Texts]:
        """All of them in order. Raises: DataError for a text that is missing, and for a column that holds none."""
        import pyarrow.parquet as pq

        left = self.rows
        with pq.ParquetFile(self.path) as file:
            self._check_type(file.schema_arrow.field(self.text).type)
            for whole in file.iter_batches(_ROWS_AT_ONCE, columns=list(dict.fromkeys([self.text, self.label, ROW]))) if left else ():
                batch = whole.slice(0, left)
                left -= len(batch)
                texts, labels, rows = (batch.column(name).to_pylist() for name in (self.text, self.label, ROW))
                if None in texts:
                    row = rows[texts.index(None)]
                    raise DataError(f"{self.text} in row {row} of {self.split} is missing", code="missing-text",
                                    hint="fill it in, or leave such rows out of the data")  # fmt: skip
                for chosen in _stretches(texts):
                    yield Texts(texts[chosen], labels[chosen], rows[chosen])
                if not left:
                    return

    def _check_type(self, dtype: Any) -> None:
        import pyarrow as pa

        if not (pa.types.is_string(dtype) or pa.types.is_large_string(dtype)):
            raise DataError(f"data.columns.text names {self.text}, which holds {dtype} in {self.split}, not text", code="wrong-type",
                            hint="name a column of texts")  # fmt: skip


def open_table(folder: Path, split: str, *, text: str, label: str, limit: int | None) -> TextTable:
    """A split of the data step's folder. limit: most rows that are read; None: all. Raises: DataError for one without rows."""
    import pyarrow.parquet as pq

    path = folder / f"{split}.parquet"
    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
    if not rows:
        raise DataError(f"the {split} split has no rows", code="empty-split", hint="give it a larger share in data.split")
    return TextTable(split, path, text, label, rows if limit is None else min(limit, rows))


def _stretches(texts: Sequence[str]) -> Iterator[slice]:
    """Stretches of at most so many characters, or of one text."""
    start = size = 0
    for place, text in enumerate(texts):
        if place > start and size + len(text) > _CHARACTERS_AT_ONCE:
            yield slice(start, place)
            start, size = place, 0
        size += len(text)
    if start < len(texts):
        yield slice(start, len(texts))
