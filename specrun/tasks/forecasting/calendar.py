"""What a time stamp says of the calendar: a category of each feature, or its place on a circle."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from specrun.tasks.forecasting.columns import Floats, Integers
from specrun.tasks.forecasting.options import PERIODS, CalendarFeature

Moments = npt.NDArray[np.datetime64]


def _within(larger: str, smaller: str) -> Callable[[Moments], Integers]:
    """How many of the smaller unit have passed of the larger one."""

    def read(moments: Moments) -> Integers:
        counted = moments.astype(f"datetime64[{smaller}]") - moments.astype(f"datetime64[{larger}]").astype(f"datetime64[{smaller}]")
        found: Integers = counted.astype(np.int64)
        return found

    return read


def _weekday(moments: Moments) -> Integers:
    """0 on Mondays."""
    days: Integers = moments.astype("datetime64[D]").astype(np.int64)
    return (days + 3) % 7  # the first of January 1970 was a Thursday


def _week(moments: Moments) -> Integers:
    """Week of the year by ISO 8601, from 0: that of the year's first Thursday is the first."""
    thursday = moments.astype("datetime64[D]") - _weekday(moments).astype("timedelta64[D]") + np.timedelta64(3, "D")
    return _within("Y", "D")(thursday) // 7


def _quarter(moments: Moments) -> Integers:
    return _within("Y", "M")(moments) // 3


_READ: Mapping[CalendarFeature, Callable[[Moments], Integers]] = {
    "minute": _within("h", "m"), "hour": _within("D", "h"), "weekday": _weekday, "day_of_month": _within("M", "D"),
    "day_of_year": _within("Y", "D"), "week": _week, "month": _within("Y", "M"), "quarter": _quarter,
}  # fmt: skip


def feature(moments: Moments, name: CalendarFeature) -> Integers:
    """Of each moment, in local time: 0 to PERIODS[name] - 1."""
    return _READ[name](moments)


def on_circle(values: Integers, name: CalendarFeature) -> tuple[Floats, Floats]:
    """Sine and cosine of the share of the period that has passed."""
    angle = values * (2 * np.pi / PERIODS[name])
    return np.sin(angle), np.cos(angle)
