"""The columns of every split as one table, a column at a time: numbers, categories and what is wrong with them, by row.

Owns no order: rows are those of train, then of validation, then of test, as the `data` step has them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.csv.notation import decimal_remedy
from specrun.spec.shape import read

if TYPE_CHECKING:
    import pyarrow as pa

    from specrun.spec.section import Section

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
SPLITS = ("train", "validation", "test")
_ROW = "__row__"
_MISSING = {
    "target": ("missing-target", "{place} has no value of target {name!r}",
               "fill it, or leave out its series: a forecast is learned from every step"),
    "observed": ("missing-observed", "{place} has no value of observed column {name!r}",
                 "fill it, such as with the value before, or take it out of data.columns.observed"),
    "known": ("known-column-not-known", "{place} has no value of {name!r}, a column whose future is said to be known",
              "fill it, or name it under data.columns.observed instead of known"),
    "static": ("missing-static", "{place} has no value of static column {name!r}", "fill it, or take it out of data.columns.static"),
    "time": ("missing-time", "{place} has no time stamp in column {name!r}", "fill it, or leave the row out"),
    "group": ("missing-group", "{place} has no value of group column {name!r}", "fill it, or leave the row out"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """folder: of the `data` step. splits: those there are, in time. counts: rows of each. source: where they are from, for remedies."""

    folder: Path
    splits: tuple[str, ...]
    counts: tuple[int, ...]
    source: Section

    @property
    def rows(self) -> int:
        return sum(self.counts)

    @cached_property
    def split_of_row(self) -> npt.NDArray[np.int8]:
        """Which split each row is of, by its number in `splits`."""
        return np.repeat(np.arange(len(self.splits), dtype=np.int8), self.counts)

    def place(self, row: int) -> str:
        """A row as an error names it: its number in the source, and its split."""
        import pyarrow.parquet as pq

        split = int(self.split_of_row[row])
        numbers = pq.read_table(self.folder / f"{self.splits[split]}.parquet", columns=[_ROW]).column(_ROW)
        return f"row {numbers[row - sum(self.counts[:split])].as_py():,} ({self.splits[split]})"

    def column(self, name: str, *, role: str) -> pa.ChunkedArray:
        """A whole column, one type for all splits. Raises DataError for a value that is missing."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [pq.read_table(self.folder / f"{split}.parquet", columns=[name]) for split in self.splits]
        column = pa.concat_tables(tables, promote_options="permissive").column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if column.null_count:
            code, message, hint = _MISSING[role]
            row = _first(column.is_null())
            raise DataError(message.format(place=self.place(row), name=name), code=code, hint=hint)
        return column

    def is_text(self, name: str, *, role: str) -> bool:
        """Whether a column holds words. Raises DataError for one that holds neither words nor numbers."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {pq.read_schema(self.folder / f"{split}.parquet").field(name).type for split in self.splits}
        kinds = {kind.value_type if pa.types.is_dictionary(kind) else kind for kind in kinds}
        for kind in kinds:
            if not (_is_text(kind) or _is_number(kind)):
                raise DataError(f"data.columns.{role}: column {name!r} holds {kind}, neither numbers nor words", code="wrong-type",
                                hint="name another column, or write its values as numbers")  # fmt: skip
        return any(map(_is_text, kinds))

    def numbers(self, name: str, *, role: str) -> Floats:
        """A column as numbers. Raises DataError with the first row that holds none, or one that is not finite."""
        import pyarrow as pa

        column = self.column(name, role=role)
        if not self.is_text(name, role=role):
            column = column.cast(pa.uint8()) if pa.types.is_boolean(column.type) else column
            found: Floats = column.cast(pa.float64(), safe=False).to_numpy()
        else:
            try:
                found = column.cast(pa.float64()).to_numpy()
            except pa.ArrowInvalid:
                row, text = first_refused(column, float)
                message = f"{self.place(row)} holds {text!r} in column {name!r} (data.columns.{role}), which is no number"
                raise DataError(message, code="wrong-type", hint=self._number_remedy(column, text, name, role=role)) from None
        self._check_finite(found, name, role=role)
        return found

    def _number_remedy(self, column: pa.ChunkedArray, text: str, name: str, *, role: str) -> str:
        if (decimal := decimal_remedy(text, self.source)) is not None:
            return decimal
        if _are_words(column):
            other = "name another column as" if role == "target" else f"take {name} out of"
            return f"words are read under data.columns.static and known only: write them as numbers, or {other} data.columns.{role}"
        return "correct the value: every step needs one"

    def categories(self, name: str, *, role: str) -> tuple[Integers, tuple[str, ...], str | None]:
        """A column as numbers of categories: those of train from 1, ascending, 0 for one that train lacks. Returns also the words of
        train, and a warning where there are others. Raises DataError for numbers that the source was to be told how to read."""
        column = self.column(name, role=role).combine_chunks().dictionary_encode()
        codes: Integers = column.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        words = column.dictionary.to_pylist()
        self._refuse_numbers(words, column, name, role=role)
        in_train = np.unique(codes[: self.counts[0]])
        vocabulary = sorted(words[code] for code in in_train)
        number = {word: place for place, word in enumerate(vocabulary, start=1)}
        found: Integers = np.array([number.get(word, 0) for word in words], dtype=np.int64)[codes]
        return found, tuple(vocabulary), self._unseen(found, column, name)

    def _refuse_numbers(self, words: list[str], column: Any, name: str, *, role: str) -> None:
        remedies = {word: decimal_remedy(word, self.source) for word in words}
        first = next((word for word in words if remedies[word]), None)
        if first is None or (read(self.source, "types") or {}).get(name) == "text":
            return
        if all(remedies[word] or re.fullmatch(r"\s*[+-]?\d+\s*", word) for word in words):
            row = column.dictionary.index(first).as_py()
            place = self.place(int(np.argmax(column.indices.to_numpy(zero_copy_only=False) == row)))
            raise DataError(f"{place} holds {first!r} in column {name!r} (data.columns.{role}), which is no number", code="wrong-type",
                            hint=f"{remedies[first]}; or data.source.types: {{{name}: text}} if it is a word")  # fmt: skip

    def _unseen(self, found: Integers, column: Any, name: str) -> str | None:
        unseen = np.flatnonzero(found == 0)
        if not len(unseen):
            return None
        row = int(unseen[0])
        first = f"the first is {column[row].as_py()!r} in {self.place(row)}"
        return f"column {name!r}: {len(unseen):,} rows hold categories that train lacks, and count as unknown; {first}"

    def _check_finite(self, found: Floats, name: str, *, role: str) -> None:
        bad = ~np.isfinite(found)
        if not bad.any():
            return
        row = int(bad.argmax())
        if math.isnan(found[row]):
            code, message, hint = _MISSING[role]
            raise DataError(f"{message.format(place=self.place(row), name=name)}: it is NaN", code=code, hint=hint)
        raise DataError(f"{self.place(row)} holds {found[row]} in column {name!r}", code="infinite-value", hint="correct the value")


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def _are_words(texts: pa.ChunkedArray) -> bool:
    """Whether most of them are no numbers."""
    import pyarrow.compute as pc

    return bool(2 * pc.sum(pc.match_substring_regex(texts, r"^\s*[+-]?[\d.]+([eE][+-]?\d+)?\s*$")).as_py() < len(texts))


def _first(mask: pa.ChunkedArray) -> int:
    """Number of the first row for which it holds."""
    return int(np.argmax(mask.to_numpy()))


def first_refused(column: pa.ChunkedArray, read: Callable[[str], Any]) -> tuple[int, str]:
    """The first text that cannot be read, and its row."""
    for row, text in enumerate(column.to_pylist()):
        try:
            read(text)
        except ValueError:
            return row, text
    return 0, column[0].as_py()


def open_columns(folder: Path, *, source: Section) -> Columns:
    """The table that the `data` step left. Raises DataError for a split without rows."""
    import pyarrow.parquet as pq

    splits = tuple(split for split in SPLITS if (folder / f"{split}.parquet").is_file())
    counts = tuple(int(pq.read_metadata(folder / f"{split}.parquet").num_rows) for split in splits)
    for split, count in zip(splits, counts, strict=True):
        if not count:
            raise DataError(f"the {split} split has no rows", code="empty-split", hint=f"give {split} a larger share in data.split")
    return Columns(folder, splits, counts, source)
