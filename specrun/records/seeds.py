"""Owns what several seeds of one experiment say together: mean and standard deviation. Standard library only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from specrun.records.rows import RunRow, Spread

__all__ = ["ENDED_WELL", "metric_spreads", "one_a_seed", "spread"]

ENDED_WELL = ("completed", "stopped_early")
"""Statuses of runs whose figures are those of a whole training."""


def spread(values: Iterable[float]) -> Spread:
    """Mean and sample standard deviation (n - 1) of at least one value; of a single one there is no deviation.

    A value that is not finite makes the mean so too, and leaves no deviation: it is not dropped.
    """
    found = [float(value) for value in values]
    assert found, "a mean of nothing"
    if not all(map(math.isfinite, found)):
        return Spread(sum(found) / len(found), None, len(found))
    deviation = statistics.stdev(found) if len(found) > 1 else None
    return Spread(statistics.mean(found), deviation, len(found))


def one_a_seed(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs that ended well, the first given of each seed, in order of seeds."""
    chosen: dict[int, RunRow] = {}
    for run in runs:
        if run.status in ENDED_WELL:
            chosen.setdefault(run.seed, run)
    return [chosen[seed] for seed in sorted(chosen)]


def metric_spreads(runs: Sequence[RunRow]) -> Mapping[str, Spread]:
    """Each metric that every run has, over the runs, by name."""
    shared = set.intersection(*(set(run.metrics) for run in runs)) if runs else set()
    return {name: spread(run.metrics[name] for run in runs) for name in sorted(shared)}
