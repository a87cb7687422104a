"""What the columns of a split hold, counted as they are written: missing values, ranges, lengths, classes. Bounded, whatever the rows.

{"type", "missing", and of numbers "min", "max", "mean", "std"; of texts "characters" {"min", "mean", "max", "bins"}, "distinct";
 of classes "classes" {name: rows}, "distinct"; of files "bytes" {"min", "mean", "max"}; of times "first", "last"}
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from specrun.sources.columns import is_image, is_text, type_name

MOST_COLUMNS = 200
"""Columns that are described; of wider tables the first ones."""
MOST_CLASSES = 30
"""Classes that are told by name, the largest ones."""
_COUNTED = 10_000
"""Different values that are counted; of more, nothing but that they are more is told."""
_ROWS_A_CLASS = 5
"""Where fewer rows share a value than this, more than MOST_CLASSES of them are no classes."""
_BINS = 24
_NAME_CHARACTERS = 80


class TableProfile:
    """Profiles of the columns of one split."""

    def __init__(self, schema: Any, *, classes: frozenset[str] = frozenset()) -> None:
        """classes: columns whose values are counted even where they are numbers."""
        self._columns = {kind.name: _Column(kind.type, counts=kind.name in classes) for kind in list(schema)[:MOST_COLUMNS]}

    def add(self, batch: Any) -> None:
        """Count the rows of a batch."""
        for name, column in self._columns.items():
            column.add(batch.column(name))

    def to_json(self) -> dict[str, dict[str, Any]]:
        """What was counted, by column."""
        return {name: column.to_json() for name, column in self._columns.items()}


@dataclass
class _Range:
    """Smallest, largest, mean and spread of numbers that come in batches (Chan, Golub and LeVeque, 1979)."""

    count: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0

    def add(self, numbers: Any) -> None:
        if not len(numbers):
            return
        mean, count = float(numbers.mean()), len(numbers)
        delta, total = mean - self.mean, self.count + count
        self.squares += float(((numbers - mean) ** 2).sum()) + delta * delta * self.count * count / total
        self.mean += delta * count / total
        self.low, self.high, self.count = min(self.low, float(numbers.min())), max(self.high, float(numbers.max())), total

    def to_json(self, *, spread: bool) -> dict[str, float]:
        told = {"min": self.low, "mean": self.mean, "max": self.high}
        return {**told, "std": math.sqrt(self.squares / self.count)} if spread else told


@dataclass
class _Column:
    """Counts of one column."""

    kind: Any
    counts: bool
    missing: int = 0
    infinite: int = 0
    range: _Range = field(default_factory=_Range)
    bins: Any = None
    classes: Counter[Any] | None = field(default_factory=Counter)

    def add(self, values: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        there = values.drop_null() if values.null_count else values
        self.missing += values.null_count
        if is_image(self.kind):
            self.range.add(_numbers(pc.binary_length(pc.struct_field(there, "bytes")).drop_null()))
        elif _is_number(values.type):
            numbers = _numbers(there)
            finite = np.isfinite(numbers)
            self.missing += int(np.isnan(numbers).sum())
            self.infinite += int(np.isinf(numbers).sum())
            self.range.add(numbers if finite.all() else numbers[finite])
        elif is_text(values.type):
            lengths = _numbers(pc.utf8_length(there))
            self.range.add(lengths)
            bins = _binned(lengths)
            self.bins = bins if self.bins is None else self.bins + bins
        elif pa.types.is_temporal(values.type) and len(there):
            low, high = (pc.min_max(there)[end].as_py() for end in ("min", "max"))
            self.bins = (min(low, self.bins[0]), max(high, self.bins[1])) if self.bins else (low, high)
        if self.counts or is_text(values.type) or pa.types.is_boolean(values.type):
            self._count(there)

    def _count(self, there: Any) -> None:
        if self.classes is None:
            return
        for pair in there.value_counts():
            self.classes[pair["values"].as_py()] += pair["counts"].as_py()
            if len(self.classes) > _COUNTED:
                self.classes = None
                return

    def to_json(self) -> dict[str, Any]:
        import pyarrow as pa

        told: dict[str, Any] = {"type": type_name(self.kind), "missing": self.missing}
        if self.infinite:
            told["infinite"] = self.infinite
        if self.range.count and is_text(self.kind):
            told["characters"] = {**self.range.to_json(spread=False), "bins": _without_tail(self.bins)}
        elif self.range.count and is_image(self.kind):
            told["bytes"] = self.range.to_json(spread=False)
        elif self.range.count:
            told |= self.range.to_json(spread=True)
        elif pa.types.is_temporal(self.kind) and self.bins:
            told |= {"first": self.bins[0].isoformat(), "last": self.bins[1].isoformat()}
        return told | self._classes()

    def _classes(self) -> dict[str, Any]:
        """How many different values there are and, where rows share them, the most frequent ones."""
        import pyarrow as pa

        if self.classes is None:
            return {} if pa.types.is_floating(self.kind) else {"distinct": f"more than {_COUNTED:,}"}
        few = 0 < len(self.classes) <= MOST_CLASSES
        shared = few or (
            self.counts and not pa.types.is_floating(self.kind) and 0 < len(self.classes) <= self.classes.total() / _ROWS_A_CLASS
        )
        if not shared:
            return {} if pa.types.is_floating(self.kind) or not self.classes else {"distinct": len(self.classes)}
        largest = sorted(self.classes.items(), key=lambda item: (-item[1], str(item[0])))[:MOST_CLASSES]
        return {"distinct": len(self.classes), "classes": {_name(value): rows for value, rows in largest}}


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _numbers(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def length_bins(lengths: Any) -> list[int]:
    """Counts of lengths 0, 1, 2-3, 4-7, 8-15 and so on, up to the last that has any."""
    return _without_tail(_binned(lengths))


def _binned(lengths: Any) -> Any:
    return np.bincount(np.minimum(_BINS - 1, np.ceil(np.log2(lengths + 1))).astype(np.int64), minlength=_BINS)


def _without_tail(bins: Any) -> list[int]:
    return [int(count) for count in np.trim_zeros(bins, "b")]


def _name(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _NAME_CHARACTERS else text[: _NAME_CHARACTERS - 3] + "..."
