"""Time stamps as whole ticks, the frequency that they follow, and how long a season is at it.

A tick is a microsecond, a month where rows are whole months apart, or one where time is a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from specrun.errors import DataError
from specrun.sources.csv.notation import time_remedy
from specrun.tasks.forecasting.columns import Columns, Integers, first_refused

if TYPE_CHECKING:
    import pyarrow as pa

_MICROSECONDS = {"second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86_400 * 10**6, "week": 7 * 86_400 * 10**6}
_SEASONS = {"day": 7, "week": 52, "month": 12}
_SHORTEST_MONTH = 28 * _MICROSECONDS["day"]


@dataclass(frozen=True, slots=True)
class Times:
    """ticks: of each row. local: date and time of the place, microseconds since 1970; None where time is a whole number."""

    ticks: Integers
    local: npt.NDArray[np.datetime64] | None


@dataclass(frozen=True, slots=True)
class Frequency:
    """ticks: from a row to the next. unit: microsecond, month or step."""

    ticks: int
    unit: str

    @property
    def _largest(self) -> tuple[int, str]:
        if self.unit != "microsecond":
            return self.ticks, self.unit
        fitting = [(self.ticks // size, name) for name, size in _MICROSECONDS.items() if self.ticks % size == 0]
        return fitting[-1] if fitting else (self.ticks, "microsecond")

    @property
    def label(self) -> str:
        """In words, such as `15 minutes`."""
        number, unit = self._largest
        return f"{number} {unit}" if number == 1 else f"{number} {unit}s"

    @property
    def season(self) -> int:
        """Rows after which a series is taken to repeat: a day within a day, a week of days, a year of weeks or months; else 1."""
        number, unit = self._largest
        day = _MICROSECONDS["day"]
        if self.unit == "microsecond" and self.ticks < day:
            return day // self.ticks if day % self.ticks == 0 else 1
        period = _SEASONS.get(unit, 1)
        return period // number if period % number == 0 else 1


def read_times(columns: Columns, name: str) -> Times:
    """The time column: dates, date-times, their ISO 8601 texts, or whole numbers. Raises DataError for anything else, with its row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = columns.column(name, role="time")
    if pa.types.is_integer(column.type):
        return Times(column.cast(pa.int64()).to_numpy(), None)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = _parsed(columns, column, name)
    elif not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise DataError(f"data.columns.time: column {name!r} holds {column.type}, no time", code="wrong-type",
                        hint="name a column of dates, of ISO 8601 texts such as 2016-07-01 00:00:00, or of whole numbers")  # fmt: skip
    instants = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)), safe=False)
    local = pc.local_timestamp(instants) if instants.type.tz else instants
    return Times(instants.cast(pa.int64()).to_numpy(), local.to_numpy().astype("datetime64[us]"))


def _parsed(columns: Columns, texts: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """ISO 8601 texts as time stamps; those with an offset in UTC."""
    import pyarrow as pa

    try:
        return texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        pass
    try:
        moments = [datetime.fromisoformat(text) for text in texts.to_pylist()]
    except ValueError:
        row, text = first_refused(texts, datetime.fromisoformat)
        raise DataError(f"{columns.place(row)} holds {text!r} in time column {name!r}, which is no time stamp", code="wrong-type",
                        hint=time_remedy(texts.to_pylist(), columns.source) or "write time stamps as ISO 8601, such as 2016-07-01 00:00:00",
                        ) from None  # fmt: skip
    aware = np.array([moment.tzinfo is not None for moment in moments])
    if aware.any() != aware.all():
        row = int(np.argmax(aware != aware[0]))
        has = "has an" if aware[row] else "has no"
        raise DataError(f"{columns.place(row)} {has} offset from UTC in time column {name!r}, unlike the rows before",
                        code="mixed-time-zones", hint="write all time stamps with their offset, or none")  # fmt: skip
    zone = "UTC" if aware.all() else None
    return pa.chunked_array([pa.array([m.astimezone(UTC) if zone else m for m in moments], type=pa.timestamp("us", tz=zone))])


def in_months(times: Times, steps: npt.NDArray[np.int64]) -> Times | None:
    """The same times counted in months, where rows are the same day of months, or all the last one. steps: ticks between rows of a
    series, not all equal."""
    if times.local is None or not len(steps) or steps.min() < _SHORTEST_MONTH:
        return None
    months = times.local.astype("datetime64[M]")
    inside = times.local - months.astype("datetime64[us]")
    day = np.timedelta64(1, "D")
    last = (times.local + day).astype("datetime64[M]") != months
    if not (last.all() or (inside == inside[0]).all()):
        return None
    return Times(months.astype(np.int64), times.local)
