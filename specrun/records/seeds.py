"""Owns what several seeds and folds of one experiment say together: mean and standard deviation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from specrun.plan import figures
from specrun.records.headline import headline
from specrun.records.rows import RunRow, Spread

__all__ = ["ENDED_WELL", "counted", "metric_spreads", "one_a_seed", "spread", "told", "unfinished"]

ENDED_WELL = ("completed", "stopped_early")
"""Statuses of runs whose figures are those of a whole training."""
_TOLD = 3


def spread(values: Iterable[float], *, folds: int = 0) -> Spread:
    """Mean and sample standard deviation (n - 1) of at least one value; of a single one there is no deviation. folds: how many different
    ones the values are of.

    A value that is not finite makes the mean so too, and leaves no deviation: it is not dropped.
    """
    found = [float(value) for value in values]
    assert found, "a mean of nothing"
    if not all(map(math.isfinite, found)):
        return Spread(sum(found) / len(found), None, len(found), folds)
    deviation = statistics.stdev(found) if len(found) > 1 else None
    return Spread(statistics.mean(found), deviation, len(found), folds)


def one_a_seed(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs that ended well, the first given of each seed and fold, in order of folds and seeds."""
    chosen: dict[tuple[int, int], RunRow] = {}
    for run in runs:
        if run.status in ENDED_WELL:
            chosen.setdefault((run.fold or 0, run.seed), run)
    return [chosen[place] for place in sorted(chosen)]


def counted(runs: int, *, folds: int) -> str:
    """What a mean is over: `3 seeds`; `5 folds`; `10 runs of 5 folds`. folds: different ones; 0 of runs without."""
    if not folds:
        return f"{runs} seeds"
    several = f"{folds} fold{'' if folds == 1 else 's'}"
    return several if runs == folds else f"{runs} runs of {several}"


def told(spreads: Mapping[str, Spread], *, aside: str = "") -> str:
    """`3 folds, mean ± standard deviation: validation/loss 1.09 ± 0.01`, of the figures that say most; empty where there are none.
    aside: what is to be known of the runs."""
    shown = {name: spreads[name] for name in headline(spreads, at_most=_TOLD)}
    parts = [f"{name} {figures.spread(found.mean, found.standard_deviation)}" for name, found in shown.items()]
    what = [counted(found.n, folds=found.folds) for found in shown.values()]
    return f"{what[0]}, mean ± standard deviation{aside}: {', '.join(parts)}" if parts else ""


def unfinished(run: RunRow, ended_well: Sequence[RunRow]) -> str:
    """` (2 not finished)` of the folds that a run is one of, to be told beside a mean; empty where all have ended well."""
    left = (run.folds or 0) - len({other.fold for other in ended_well})
    return f" ({left} not finished)" if left > 0 else ""


def metric_spreads(runs: Sequence[RunRow]) -> Mapping[str, Spread]:
    """Each metric that every run has, over the runs, by name."""
    shared = set.intersection(*(set(run.metrics) for run in runs)) if runs else set()
    folds = len({run.fold for run in runs} - {None})
    return {name: spread((run.metrics[name] for run in runs), folds=folds) for name in sorted(shared)}
