"""What there is to know of one column of a split, found in memory that does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from specrun.tasks.tabular.encoding import Number
from specrun.tasks.tabular.table import Column, Numbers, Table

QUANTILE_BINS = 64
_SAMPLED_ROWS = 1 << 20
"""Quantiles are exact up to so many rows; of more, every second row or every third counts for them."""

_FAR = 1e6
"""Interquartile ranges from the median: the most extreme of the widest real columns, such as turnover, are far below."""


def parts_of(table: Table, name: str) -> Iterator[Column]:
    """A column, a batch of rows at a time."""
    return (batch[name] for batch in table.batches([name]))


def number_of(train: Table, name: str) -> Number:
    """A column of numbers: exact but for the quantiles of very many rows."""
    count, mean, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
    sample: list[Numbers] = []
    every, seen = -(-train.rows // _SAMPLED_ROWS), 0
    for column in parts_of(train, name):
        values_B = column.numbers()
        sample.append(values_B[-seen % every :: every])
        seen += len(values_B)
        there = values_B[~np.isnan(values_B)]
        if not there.size:
            continue
        # Sums of parts joined as Chan, Golub & LeVeque 1979 do: no difference of large numbers.
        part_mean, total = float(there.mean()), count + there.size
        squares += float(((there - part_mean) ** 2).sum()) + (part_mean - mean) ** 2 * count * there.size / total
        mean += (part_mean - mean) * there.size / total
        count, low, high = total, min(low, float(there.min())), max(high, float(there.max()))
    if not count:
        return Number(name, 0.0, 1.0, 0.0, (), train.rows)
    values = np.concatenate(sample)
    values = values[~np.isnan(values)]
    median = float(np.median(values)) if values.size else mean
    std = float(np.sqrt(squares / count))
    if low == high or std == 0.0:
        return Number(name, mean, 1.0, median, (0.0,), train.rows - count)
    quantiles = np.quantile(values, np.linspace(0, 1, QUANTILE_BINS + 1)) if values.size else np.empty(0)
    edges = sorted({float(f"{(edge - mean) / std:.6g}") for edge in (low, *quantiles.tolist(), high)})
    return Number(name, mean, std, median, tuple(edges), train.rows - count)


@dataclass(frozen=True, slots=True)
class FarOut:
    """A value that sets its column's scale. row: of the source; spreads: interquartile ranges from the median."""

    row: int
    value: float
    spreads: float


def farthest(train: Table, name: str) -> FarOut | None:
    """The value of a column of numbers farthest from its median, if it is so far that no real one is."""
    sample: list[Numbers] = []
    every, seen, lowest, highest = -(-train.rows // _SAMPLED_ROWS), 0, (np.inf, 0), (-np.inf, 0)
    for column in parts_of(train, name):
        values_B, rows_B = column.numbers(), column.row
        sample.append(values_B[-seen % every :: every])
        seen += len(values_B)
        values_B, rows_B = values_B[there := ~np.isnan(values_B)], rows_B[there]
        if values_B.size:
            lowest = min(lowest, (float(values_B.min()), int(rows_B[values_B.argmin()])))
            highest = max(highest, (float(values_B.max()), int(rows_B[values_B.argmax()])))
    low, median, high = np.nanpercentile(np.concatenate(sample), [25, 50, 75]).tolist()
    value, row = max(lowest, highest, key=lambda found: abs(found[0] - median))
    return FarOut(row, value, abs(value - median) / (high - low)) if abs(value - median) > _FAR * (high - low) > 0 else None


def counted_of(table: Table, name: str) -> tuple[Counter[str], int]:
    """How often each word is there, and in how many rows there is none."""
    import pyarrow.compute as pc

    counts, missing = Counter[str](), 0
    for column in parts_of(table, name):
        words = column.words()
        missing += words.null_count
        found = pc.value_counts(words.drop_null())
        counts.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
    return counts, missing
