"""Owns one list of the runs of several stores, such as those of smoke runs: filtered, ordered and cut as of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from specrun.records.queries import open_records, require_known
from specrun.records.rows import RunRow

__all__ = ["ordered", "runs_of_stores"]

_ORDERS: dict[str | None, tuple[Callable[[RunRow], Any], bool]] = {
    None: (attrgetter("started_at"), True),
    "started_at": (attrgetter("started_at"), True),
    "name": (attrgetter("name"), False),
    "duration": (attrgetter("duration_s"), True),
    "status": (attrgetter("status"), False),
}
"""What is compared, and whether the greatest comes first."""


def runs_of_stores(
    stores: Iterable[Path],
    *,
    metrics: Sequence[str] = (),
    name: str | None = None,
    status: str | None = None,
    tag: str | None = None,
    task: str | None = None,
    smoke: bool | None = None,
    order: str | None = None,
    limit: int | None = None,
) -> list[tuple[RunRow, Path]]:
    """Runs of all stores that meet every condition, each with its store. metrics: such as some run of some store has recorded.

    Raises UsageError as `Records.runs` does, and `unknown-metric`; StoreError for a store that cannot be read.
    """
    found: list[tuple[RunRow, Path]] = []
    known: set[str] = set()
    read = False
    for store in stores:
        with open_records(store) as records:
            rows = records.runs(name=name, status=status, tag=tag, task=task, smoke=smoke, order=order, limit=limit)
            known.update(records.metrics() if metrics else ())
        found += [(row, store) for row in rows]
        read = True
    for metric in metrics if read else ():
        require_known(metric, sorted(known))
    return ordered(found, order)[:limit]


def ordered(runs: Iterable[tuple[RunRow, Path]], order: str | None) -> list[tuple[RunRow, Path]]:
    """The runs as `Records.runs` orders those of one store."""
    value, greatest_first = _ORDERS[order]
    by_id = sorted(runs, key=lambda run: run[0].run_id)
    return sorted(by_id, key=lambda run: value(run[0]), reverse=greatest_first)
