"""Owns the tables of `specrun runs list` and `best`: which columns there are, and which go first on a narrow terminal."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from specrun.cli.tables import terminal_width, trimmed
from specrun.plan import figures
from specrun.records.headline import headline
from specrun.records.rows import Ranked, RunRow, Spread
from specrun.records.seeds import counted

__all__ = ["print_best", "print_runs", "spread_text"]

_MOST_METRICS = 3
_MOST_OF_A_RUN = 2


def print_runs(rows: Sequence[RunRow], *, metrics: Sequence[str] | None = None, places: Sequence[str] | None = None) -> None:
    """Print a run a line. metrics: those to show; absent means the ones that say most. places: the store of each, for smoke runs."""
    shown = list(metrics) if metrics else _headlines(rows)
    table: dict[str, list[object]] = {
        "RUN": [row.run_id for row in rows],
        **_names(rows),
        "STATUS": [_status(row) for row in rows],
        "STARTED (UTC)": [row.started_at[:16].replace("T", " ") for row in rows],
        "TIME": [figures.seconds(row.duration_s) for row in rows],
        "TASK": [row.task for row in rows],
        **_folds(rows),
        **{name: [row.metrics.get(name) for row in rows] for name in shown},
        **_tags(rows),
        **({"STORE": list(places)} if places is not None else {}),
    }
    _print(table, spare=(*reversed(shown[2:]), "TASK", *reversed(shown[1:2]), "TAGS", "STARTED (UTC)", "TIME", "NAME", *shown[:1]))


def print_best(found: Sequence[Ranked], metric: str, over_seeds: Mapping[str, Spread]) -> None:
    """Print a ranking. over_seeds: by experiment; shown where some run has more than one seed or fold."""
    rows = [ranked.run for ranked in found]
    spreads = [over_seeds.get(row.experiment) for row in rows]
    several = any(spread is not None and spread.n > 1 for spread in spreads)
    over = "OVER FOLDS" if any(row.fold is not None for row in rows) else "OVER SEEDS"
    table: dict[str, list[object]] = {
        "": list(range(1, len(rows) + 1)),
        "RUN": [row.run_id for row in rows],
        **_names(rows),
        **_folds(rows),
        metric: [ranked.value for ranked in found],
        **({"FIGURE": [_origin(ranked) for ranked in found]} if any(ranked.in_training for ranked in found) else {}),
        **({over: [spread_text(spread) if spread and spread.n > 1 else "" for spread in spreads]} if several else {}),
        "STATUS": [_status(row) for row in rows],
        **_tags(rows),
    }
    _print(table, spare=("TAGS", "NAME", over, "STATUS"))


def _origin(ranked: Ranked) -> str:
    """Where a ranked figure is from: those of training may be of a part of the split."""
    if not ranked.in_training:
        return "final"
    return "best in training" + (f", up to {figures.plural(ranked.batches, 'batch')}" if ranked.batches else "")


def spread_text(spread: Spread) -> str:
    """`3.51 ± 0.02 (3 seeds)`; of one run the figure alone."""
    if spread.n == 1:
        return figures.number(spread.mean)
    return f"{figures.spread(spread.mean, spread.standard_deviation)} ({counted(spread.n, folds=spread.folds)})"


def _print(table: Mapping[str, Sequence[object]], *, spare: Sequence[str]) -> None:
    text, left_out = trimmed(list(table), list(zip(*table.values(), strict=True)), width=terminal_width(), spare=spare)
    print(text)
    if left_out:
        print(f"not shown for want of width: {', '.join(left_out)}", file=sys.stderr)


def _status(row: RunRow) -> str:
    return row.status if row.comparable else f"{row.status}, not comparable"


def _names(rows: Sequence[RunRow]) -> dict[str, list[object]]:
    """A column of names, where some id does not begin with its run's name."""
    told = all(re.fullmatch(re.escape(row.name) + r"-[0-9a-f]+", row.run_id) for row in rows)
    return {} if told else {"NAME": [row.name for row in rows]}


def _folds(rows: Sequence[RunRow]) -> dict[str, list[object]]:
    folds = ["" if row.fold is None else f"{row.fold} of {row.folds}" for row in rows]
    return {"FOLD": list(folds)} if any(folds) else {}


def _tags(rows: Sequence[RunRow]) -> dict[str, list[object]]:
    return {"TAGS": [", ".join(row.tags) for row in rows]} if any(row.tags for row in rows) else {}


def _headlines(rows: Sequence[RunRow]) -> list[str]:
    """The metrics that say how good most of the runs are: what they were tested on, else validated, else trained."""
    counts = Counter(name for row in rows for name in headline(row.metrics, at_most=_MOST_OF_A_RUN))
    return [name for name, _ in counts.most_common(_MOST_METRICS)]
