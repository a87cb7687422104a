"""Cuts rows into splits that follow one another in time.

Legend: N rows, M moments (distinct times).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.assignment import LEFT_OUT, TRAIN, Codes, RowKeys
from specrun.spec.splits.time import Options, moment
from specrun.spec.units import Quantity

Times = npt.NDArray[np.int64]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def split_by_time(options: Options, keys: RowKeys) -> Codes:
    """Rows from one border to the next. Those of one moment are never parted; those within the gap before a border, and those from
    `end` on, are left out."""
    assert keys.times is not None
    times = keys.times
    last = None if options.end is None else _at(options.end, keys)
    used = times if last is None else times[times < last]
    codes = np.full(keys.rows, LEFT_OUT, np.int8)
    if not len(used):
        return codes
    moments_M, counts_M = np.unique(used, return_counts=True)
    borders = _borders(options, keys, moments_M, counts_M)
    ends = [*borders, None]
    starts = [None, *borders]
    for code, (start, end) in enumerate(zip(starts, ends, strict=True), TRAIN):
        inside = np.ones(keys.rows, bool) if start is None else times >= start
        if last is not None:
            inside &= times < last
        if end is not None:
            inside &= times < end
            if options.gap is not None:
                inside &= times < _before(end, options.gap, moments_M, keys)
        codes[inside] = code
    return codes


def _borders(options: Options, keys: RowKeys, moments_M: Times, counts_M: Times) -> list[int]:
    """The first moment of validation, and of test where there is one."""
    asked = [options.validation] if options.test is None else [options.validation, options.test]
    if any(isinstance(each, str) for each in asked):
        found = [_at(str(each), keys) for each in asked]
        _check_within(found, asked, moments_M, keys)
        return found
    shares = [float(each) for each in asked]
    after = [round(1 - sum(shares[place:]), 12) for place in range(len(shares))]
    if options.share_of == "time":
        first, length = int(moments_M[0]), int(moments_M[-1]) - int(moments_M[0])
        return [first + int(part * length) + 1 for part in after]
    ends_M = np.cumsum(counts_M)
    places = np.searchsorted(ends_M, [int(part * int(ends_M[-1])) for part in after], side="right")
    return [int(moments_M[min(place, len(moments_M) - 1)]) for place in places]


def _check_within(borders: Sequence[int], asked: Sequence[object], moments_M: Times, keys: RowKeys) -> None:
    """Raise DataError for a border that has nothing before it, or nothing after it."""
    for place, (border, text) in enumerate(zip(borders, asked, strict=True)):
        outside = border <= moments_M[0] if place == 0 else False
        if outside or border > moments_M[-1]:
            what = "no row is before" if outside else "no row is from then on:"
            raise DataError(
                f"data.split.{('validation', 'test')[place]} begins at {text}, and {what} {'it; the first' if outside else 'the last'} "
                f"is of {shown_time(int(moments_M[0] if outside else moments_M[-1]), keys)}",
                code="moment-outside-data",
                hint=f"set a moment between {shown_time(int(moments_M[0]), keys)} and {shown_time(int(moments_M[-1]), keys)}",
            )


def _before(border: int, gap: Quantity, moments_M: Times, keys: RowKeys) -> int:
    """The moment from which rows before a border are left out."""
    if gap.unit == "rows":
        return int(moments_M[max(0, int(np.searchsorted(moments_M, border)) - int(gap.amount))])
    _check_moments(keys, "data.split.gap", str(gap))
    return border - round(gap.amount * 1e6)


def _at(text: str, keys: RowKeys) -> int:
    """A moment of the spec as the column counts time."""
    _check_moments(keys, "data.split", text)
    since = moment(text) - _EPOCH
    return since // timedelta(microseconds=1)


def _check_moments(keys: RowKeys, key: str, text: str) -> None:
    if not keys.is_moment:
        raise DataError(
            f"{key} says {text}, but data.columns.time holds plain numbers, which are no dates",
            code="time-not-a-date",
            hint="use shares, such as validation: 0.1, and a gap in rows; or write dates into the column",
        )


def shown_time(value: int, keys: RowKeys) -> str:
    """A time for messages."""
    if not keys.is_moment:
        return f"{value:,}"
    return str(np.datetime64(value, "us").astype("datetime64[s]")).replace("T", " ")
