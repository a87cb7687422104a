"""One list of several stores' runs is in the order that one store gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import UsageError
from specrun.records.queries import ORDERS, open_records
from specrun.records.several import ordered, runs_of_stores

NewRun = Callable[..., Any]


@pytest.mark.parametrize("order", [None, *ORDERS])
def test_runs_are_ordered_as_the_records_order_them(store: Path, new_run: NewRun, order: str | None) -> None:
    for number, (name, status, started_at) in enumerate(
        [("b", "completed", "2026-01-03"), ("a", "failed", "2026-01-02"), ("é", "completed", "2026-01-02"), ("B", "failed", None)]
    ):
        new_run(f"r{number}", name=name, started_at=started_at).end(status, duration_s=1e6 * (number % 2 + 1))
    with open_records(store) as records:
        runs = records.runs(order=order)
    shuffled = [(run, store) for run in (runs[2], runs[0], runs[3], runs[1])]
    assert [run.run_id for run, _ in ordered(shuffled, order)] == [run.run_id for run in runs]


@pytest.mark.parametrize(("asked", "code"), [({"order": "bogus"}, "unknown-order"), ({"status": "bogus"}, "unknown-status")])
def test_what_no_run_can_be_listed_by_is_refused_also_where_there_is_no_store(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        runs_of_stores([], **asked)
    assert caught.value.code == code
