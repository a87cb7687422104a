"""Owns one list of the runs of several stores, such as those of smoke runs: filtered, ordered and cut as of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from specrun.records.queries import ORDERS, open_records, require_known, require_order, require_status
from specrun.records.rows import RunRow

__all__ = ["ordered", "runs_of_stores"]


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
    require_status(status)
    require_order(order)  # also where there is no store yet to ask
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
    field, greatest_first = ORDERS[require_order(order)]
    value = attrgetter(field)
    by_id = sorted(runs, key=lambda run: run[0].run_id)
    return sorted(by_id, key=lambda run: value(run[0]), reverse=greatest_first)
