"""Readings of the machine as arithmetic: over seconds of training, as means and sums, by device. Owns no words and no drawing."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence

from specrun.records.rows import Reading

System = Mapping[str, Sequence[Reading]]
"""Readings of a run, by metric."""

Points = list[tuple[float, float]]
"""Seconds of training, and what was read then."""

_DEVICE = re.compile(r"^system/gpu(\d+)/")


def devices(system: System) -> list[int]:
    """The devices that gave a reading, by number."""
    return sorted({int(found[1]) for metric in system if (found := _DEVICE.match(metric))})


def points(readings: Sequence[Reading]) -> Points:
    """Readings by seconds of training: attempts follow one another without the time between them."""
    found: Points = []
    offset, attempt, began = 0.0, 0, 0.0
    for reading in readings:
        if reading.attempt != attempt:
            offset, attempt, began = found[-1][0] if found else 0.0, reading.attempt, reading.time_s
        found.append((offset + max(0.0, reading.time_s - began), reading.value))
    return found


def mean(system: System, metric: str) -> float | None:
    """The mean over time; of readings without any time between them, the plain one."""
    readings = system.get(metric, ())
    pairs = [
        (after.value, after.time_s - before.time_s) for before, after in itertools.pairwise(readings) if before.attempt == after.attempt
    ]
    weight = math.fsum(seconds for _, seconds in pairs if seconds > 0)
    if weight > 0:
        return math.fsum(value * seconds for value, seconds in pairs if seconds > 0) / weight
    return math.fsum(reading.value for reading in readings) / len(readings) if readings else None


def largest(system: System, metric: str) -> float | None:
    """The largest reading."""
    return max((reading.value for reading in system.get(metric, ())), default=None)


def least(system: System, metric: str) -> float | None:
    """The smallest reading."""
    return min((reading.value for reading in system.get(metric, ())), default=None)


def total(system: System, metric: str) -> float | None:
    """The sum over attempts of a reading that each counts from nothing."""
    last = {reading.attempt: reading.value for reading in system.get(metric, ())}
    return math.fsum(last.values()) if last else None
