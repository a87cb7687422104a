"""Which rows are a series, in which order, and where it can be read without a gap.

Rows of a group are taken in the order they have; that their times ascend, one step at a time, is checked and never made so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.tasks.forecasting.clock import Frequency, Times, in_months, read_times
from specrun.tasks.forecasting.columns import Columns, Integers

Bools = npt.NDArray[np.bool_]
_TORN = "rows of a split are consecutive in time: use data.split: {kind: ratio} without shuffle, or splits cut by time"


@dataclass(frozen=True, slots=True)
class Series:
    """N series, one after the other. order: of the table's rows; what follows is in this order. offsets: first row of each series, and
    the end, (N + 1,). splits: number of each row's split. runs: rows that follow one another without a gap, whatever their split,
    [first, end) each, (runs, 2). names: of the series; one without groups has the empty name. gaps: how many there are between splits."""

    order: Integers
    offsets: Integers
    splits: npt.NDArray[np.int8]
    runs: Integers
    names: tuple[str, ...]
    frequency: Frequency
    times: Times
    gaps: int

    @property
    def number_of_row(self) -> Integers:
        """Which series each row is of."""
        return np.repeat(np.arange(len(self.names)), np.diff(self.offsets))


def find_series(columns: Columns, *, time: str, groups: Sequence[str]) -> Series:
    """Read time and groups. Raises DataError, with the row, where time does not ascend, repeats or leaves out a step within a split, and
    where a split does not come after the one before."""
    codes, names = _groups(columns, groups)
    order: Integers = np.argsort(codes, kind="stable") if groups else np.arange(columns.rows)
    offsets: Integers = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))])
    splits = columns.split_of_row[order]
    read = read_times(columns, time)
    times = Times(read.ticks[order], None if read.local is None else read.local[order])
    same = np.ones(max(0, columns.rows - 1), dtype=bool)
    same[offsets[1:-1] - 1] = False
    within = same & (splits[1:] == splits[:-1])
    _check_ascending(columns, order, np.diff(times.ticks), same=same, within=within, time=time)
    times, frequency = _frequency(times, within)
    steps = np.diff(times.ticks)
    _check_regular(columns, order, steps, within=within, frequency=frequency, time=time)
    ends = np.flatnonzero(~(same & (steps == frequency.ticks))) + 1
    bounds = np.concatenate([[0], ends, [columns.rows]])
    runs: Integers = np.stack([bounds[:-1], bounds[1:]], axis=1)
    return Series(order, offsets, splits, runs, names, frequency, times, gaps=len(runs) - len(names))


def _groups(columns: Columns, groups: Sequence[str]) -> tuple[Integers, tuple[str, ...]]:
    """Number of each row's series, in the order in which they first come, and their names."""
    if not groups:
        return np.zeros(columns.rows, dtype=np.int64), ("",)
    coded = []
    for name in groups:
        words = columns.column(name, role="group").combine_chunks().dictionary_encode()
        coded.append((words.indices.to_numpy(zero_copy_only=False).astype(np.int64), [str(word) for word in words.dictionary.to_pylist()]))
    joined = reduce(lambda left, right: _joined(left, right[0], len(right[1])), coded[1:], coded[0][0])
    _, first, codes = np.unique(joined, return_index=True, return_inverse=True)
    by_first = np.argsort(first)
    rank = np.empty_like(by_first)
    rank[by_first] = np.arange(len(by_first))
    names = tuple("/".join(words[numbers[row]] for numbers, words in coded) for row in first[by_first])
    numbers: Integers = rank[codes]
    return numbers, names


def _joined(left: Integers, right: Integers, size: int) -> Integers:
    """One number for a pair of them, below the number of rows again, so that none overflows."""
    _, joined = np.unique(left * size + right, return_inverse=True)
    found: Integers = joined.astype(np.int64)
    return found


def _check_ascending(columns: Columns, order: Integers, steps: Integers, *, same: Bools, within: Bools, time: str) -> None:
    bad = same & (steps <= 0)
    if not bad.any():
        return
    place = int(bad.argmax())
    row, before = columns.place(int(order[place + 1])), columns.place(int(order[place]))
    if not within[place]:
        raise DataError(f"{row} is not later than {before} in column {time!r}: a split does not come after the one before",
                        code="splits-not-consecutive", hint=_TORN)  # fmt: skip
    if steps[place] == 0:
        raise DataError(f"{row} has the time of {before} in column {time!r}, in the same series", code="duplicate-time",
                        hint="leave one of them out, or name what tells the series apart in data.columns.group")  # fmt: skip
    raise DataError(f"{row} is earlier than {before} in column {time!r}, in the same series", code="time-not-ascending",
                    hint="sort the rows by time, or name what tells the series apart in data.columns.group")  # fmt: skip


def _frequency(times: Times, within: Bools) -> tuple[Times, Frequency]:
    """The commonest step between rows of a series, the shortest of several."""
    unit = "step" if times.local is None else "microsecond"
    steps = np.diff(times.ticks)[within]
    if not len(steps):
        return times, Frequency(1, unit)
    found, counts = np.unique(steps, return_counts=True)
    if len(found) > 1 and (monthly := in_months(times, found)) is not None:
        times, unit = monthly, "month"
        found, counts = np.unique(np.diff(times.ticks)[within], return_counts=True)
    return times, Frequency(int(found[counts.argmax()]), unit)


def _check_regular(columns: Columns, order: Integers, steps: Integers, *, within: Bools, frequency: Frequency, time: str) -> None:
    bad = within & (steps != frequency.ticks)
    if not bad.any():
        return
    place = int(bad.argmax())
    row, before = columns.place(int(order[place + 1])), columns.place(int(order[place]))
    took = Frequency(int(steps[place]), frequency.unit).label
    raise DataError(
        f"{row} comes {took} after {before} in column {time!r}, where rows are {frequency.label} apart",
        code="irregular-time",
        hint=f"write a row every {frequency.label.removeprefix('1 ')}; where only the order counts, name a column of whole numbers as time",
    )
