"""Checks of the forecasting task's options against the rest of the spec, before any data is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from specrun.spec.assembly import check_bytes
from specrun.tasks.forecasting.options import PERIODS, CalendarFeature

COLUMNS = {"time": "time", "target": ["y"]}


def found(*, columns: dict[str, Any] | None = None, split: dict[str, Any] | None = None, **task: Any) -> dict[str, str]:
    """What is told of a spec, code -> hint."""
    document = {
        "version": 1,
        "name": "forecast",
        "task": {"kind": "forecasting", **task},
        "data": {"source": {"kind": "csv", "path": "x.csv"}, "columns": {**COLUMNS, **(columns or {})},
                 "split": split or {"kind": "ratio", "validation": 0.2}},
        "model": {"kind": "tft", "width": 8, "num_heads": 2},
    }  # fmt: skip
    told = check_bytes(json.dumps(document).encode(), "test.yaml", folder=Path()).diagnostics
    return {one.code: one.hint or "" for one in told if one.code != "missing-file"}


def test_a_plain_spec_is_told_nothing() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("how", "code", "hint"),
    [
        ({"quantiles": [0.9, 0.5, 0.1]}, "quantiles-not-ascending", "use quantiles: [0.1, 0.5, 0.9]"),
        ({"quantiles": [0.5, 0.5]}, "quantiles-not-ascending", "use quantiles: [0.5]"),
        ({"quantiles": [0.1, 0.9]}, "quantiles-without-median", "use quantiles: [0.1, 0.5, 0.9]"),
        ({"loss": "squared_error"}, "quantiles-without-pinball", "use quantiles: [0.5], or loss: pinball"),
        ({"columns": {"known": ["y"]}}, "column-in-two-roles", "its future is not known"),
        ({"columns": {"target": ["y", "y"]}}, "column-in-two-roles", "remove y from data.columns.target"),
        ({"columns": {"known": ["p"], "observed": ["p"]}}, "column-in-two-roles", "remove p from data.columns.observed"),
        ({"columns": {"target": ["time"]}}, "column-in-two-roles", "remove time from data.columns.target"),
        ({"split": {"kind": "hash", "validation": 0.2}}, "split-tears-series", "consecutive in time"),
        ({"split": {"kind": "ratio", "validation": 0.2, "shuffle": True}}, "split-tears-series", "consecutive in time"),
        ({"split": {"kind": "kfold", "fold": 1}}, "split-tears-series", "consecutive in time"),
        ({"split": {"kind": "kfold", "fold": 1, "shuffle": True}}, "split-tears-series", "consecutive in time"),
        ({"scale_by_group": True}, "option-without-effect", "data.columns.group"),
        ({"scale_by_group": True, "scaling": "none", "columns": {"group": "g"}}, "option-without-effect", "scaling: standard"),
        ({"calendar_encoding": "category"}, "option-without-effect", "calendar: [hour, weekday]"),
        ({"calendar": ["hour", "hour"]}, "feature-named-twice", "use calendar: [hour]"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_with_a_remedy(how: dict[str, Any], code: str, hint: str) -> None:
    told = found(**how)
    assert told.keys() == {code}
    assert hint in told[code]


@pytest.mark.parametrize("split", [{"kind": "time", "validation": 0.2}, {"kind": "group", "validation": 0.2},
                                   {"kind": "kfold", "fold": 1, "by_group": True, "shuffle": True}])  # fmt: skip
def test_a_split_that_keeps_series_whole_or_cuts_them_in_time_is_told_nothing(split: dict[str, Any]) -> None:
    assert found(columns={"group": "g"}, split=split) == {}


def test_every_feature_of_the_calendar_has_a_period() -> None:
    assert set(PERIODS) == set(CalendarFeature.__args__)
