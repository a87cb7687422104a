"""Curves: one metric over optimizer steps, or over time, thinned for drawing without hiding its spikes.

Owns plain arithmetic on points; what is drawn how is `charts`' business.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DRAWN_POINTS = 600
"""A panel is about 400 pixels wide: more points than this cannot be told apart."""

Sample = tuple[float, float | None]
"""An optimizer step, or a time, and a value; None marks a value that was not finite, where the line breaks."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric as it is drawn. label: what the legend says; role: which colour; recorded: values before thinning.

    dots: whether every value is marked, as few evaluations are. not_finite: how many values were NaN or infinite.
    """

    metric: str
    label: str
    role: str
    samples: tuple[Sample, ...]
    recorded: int
    not_finite: int = 0
    first_not_finite: float | None = None
    dots: bool = False

    @property
    def finite(self) -> tuple[tuple[float, float], ...]:
        """The drawn values that are numbers."""
        return tuple((step, value) for step, value in self.samples if value is not None)

    @property
    def thinned(self) -> bool:
        """Whether fewer values are drawn than were recorded."""
        return len(self.samples) < self.recorded


def curve(points: Iterable[tuple[float, float]], *, metric: str, label: str, role: str, limit: int = DRAWN_POINTS) -> Curve:
    """Sort by step, mark what is not finite and thin to at most `limit` values."""
    ordered = sorted(points, key=lambda point: point[0])
    samples: list[Sample] = [(step, value if math.isfinite(value) else None) for step, value in ordered]
    broken = [step for step, value in samples if value is None]
    return Curve(
        metric=metric,
        label=label,
        role=role,
        samples=thin(samples, limit=limit),
        recorded=len(samples),
        not_finite=len(broken),
        first_not_finite=broken[0] if broken else None,
        dots=len(samples) <= 60 and role != "train",
    )


def thin(samples: Sequence[Sample], *, limit: int) -> tuple[Sample, ...]:
    """Keep at most `limit` samples: of each stretch its smallest, its largest and one gap, so that no spike disappears.

    The first and the last sample always stay. Samples are in order of their steps. limit: at least 8.
    """
    assert limit >= 8
    if len(samples) <= limit:
        return tuple(samples)
    stretches = (limit - 2) // 3
    inner = range(1, len(samples) - 1)
    kept = {0, len(samples) - 1}
    for number in range(stretches):
        stretch = inner[number * len(inner) // stretches : (number + 1) * len(inner) // stretches]
        finite = [(value, i) for i in stretch if (value := samples[i][1]) is not None]
        gap = next((i for i in stretch if samples[i][1] is None), None)
        if finite:
            kept |= {min(finite)[1], max(finite)[1]}
        if gap is not None:
            kept.add(gap)
    return tuple(samples[i] for i in sorted(kept))


def spread(items: Sequence[int], *, limit: int, keep: frozenset[int] = frozenset()) -> tuple[int, ...]:
    """At most `limit` of the items, evenly spaced with both ends, and besides those of `keep` that are among them."""
    if len(items) <= limit:
        return tuple(items)
    chosen = {items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)}
    return tuple(item for item in items if item in chosen or item in keep)


def bounds(values: Iterable[float], *, log: bool) -> tuple[float, float]:
    """A domain that shows all values with a little air. log: powers of ten need positive values."""
    found = [value for value in values if not log or value > 0]
    if not found:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = min(found), max(found)
    if log:
        air = (high / low) ** 0.06 if low < high < low * 1e300 else 1.5
        return low / air, min(high * air, sys.float_info.max)
    air = (high / 2 - low / 2) * 0.12 or abs(high) * 0.1 or 1.0
    floor = 0.0 if low >= 0 and low - air < 0 else max(low - air, -sys.float_info.max)
    return floor, min(high + air, sys.float_info.max)
