"""What the forecasting task takes of a table, and what it refuses before training, with the row."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import RobustScaler, StandardScaler

from specrun.errors import DataError
from specrun.sources.csv.options import Options as Csv
from specrun.tasks.forecasting.arrays import open_arrays
from specrun.tasks.forecasting.calendar import feature

from .forecasting_data import START, hours, prepared, table


def replaced(values: Any, place: int, value: Any) -> list[Any]:
    found = list(values)
    found[place] = value
    return found


def in_turn(count: int = 60) -> dict[str, Any]:
    """Two series, a row of each in turn."""
    return {"time": [moment for moment in hours(count) for _ in range(2)], "g": ["a", "b"] * count, "y": np.arange(2.0 * count)}


TWO = {"columns": {"group": "g"}, "borders": (72, 96)}

BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "missing-target": (table(y=replaced(range(60), 40, None)), {}, "row 41 (validation)", "target 'y'"),
    "missing-target nan": (table(y=replaced(np.ones(60), 7, float("nan"))), {}, "row 8 (train)", "NaN"),
    "infinite-value": (table(y=replaced(np.ones(60), 50, float("inf"))), {}, "row 51 (test)", "inf"),
    "wrong-type": (table(y=replaced(["1.5"] * 60, 12, "n/a")), {}, "row 13 (train)", "'n/a'"),
    "wrong-type dates": (table(y=hours(60)), {}, "timestamp", "target"),
    "wrong-type time": (table() | {"time": replaced([str(t) for t in hours(60)], 3, "31/12/2024")}, {}, "row 4 (train)", "31/12/2024"),
    "wrong-type float": (table() | {"time": np.arange(60.0)}, {}, "double", "no time"),
    "missing-time": (table() | {"time": replaced(hours(60), 20, None)}, {}, "row 21 (train)", "time"),
    "mixed-time-zones": (table() | {"time": replaced([t.isoformat() for t in hours(60)], 9, "2024-01-01T09:00+00:00")}, {},
                         "row 10 (train)", "offset"),
    "duplicate-time": (table() | {"time": replaced(hours(60), 30, hours(60)[29])}, {}, "row 31 (train)", "row 30 (train)"),
    "time-not-ascending": (table() | {"time": replaced(hours(60), 30, START)}, {}, "row 31 (train)", "earlier"),
    "irregular-time": (table() | {"time": hours(30) + hours(30, first=31)}, {}, "row 31 (train)", "2 hours"),
    "splits-not-consecutive": (table() | {"time": hours(36) + hours(24)}, {}, "row 37 (validation)", "row 36 (train)"),
    "series-shorter-than-window": (table(8), {"borders": (5, 6)}, "8 rows", "need 9"),
    "series-shorter-than-window group": (table() | {"g": ["a"] * 55 + ["b"] * 5}, {"columns": {"group": "g"}}, "series 'b'",
                                         "row 56 (test)"),
    "split-shorter-than-window": (table(), {"borders": (36, 58)}, "test split", "task.horizon 3"),
    "split-shorter-than-window train": (table(), {"borders": (8, 30)}, "train split", "task.context 6"),
    "empty-split": (table(), {"borders": (36, 36)}, "validation", "no rows"),
    "known-column-not-known": (table(p=[1.0] * 55 + [None] * 5), {"columns": {"known": ("p",)}}, "row 56 (test)", "'p'"),
    "known-column-not-known nan": (table(p=[1.0] * 55 + [float("nan")] * 5), {"columns": {"known": ("p",)}}, "row 56 (test)", "NaN"),
    "missing-observed": (table(p=replaced(range(60), 3, None)), {"columns": {"observed": ("p",)}}, "row 4 (train)", "'p'"),
    "wrong-type observed": (table(p=["high"] * 60), {"columns": {"observed": ("p",)}}, "row 1 (train)", "'high'"),
    "missing-static": (table(p=["u"] * 59 + [None]), {"columns": {"static": ("p",)}}, "row 60 (test)", "'p'"),
    "static-not-constant": (table(p=["u"] * 59 + ["v"]), {"columns": {"static": ("p",)}}, "row 60 (test)", "static"),
    "missing-group": (table(g=replaced(["a"] * 60, 2, None)), {"columns": {"group": "g"}}, "row 3 (train)", "'g'"),
    "calendar-without-dates": (table() | {"time": np.arange(60)}, {"calendar": ("hour",)}, "task.calendar", "whole numbers"),
    "group-without-train": (table() | {"g": ["a"] * 40 + ["b"] * 20, "time": hours(40) + hours(20)},
                            {"columns": {"group": "g"}, "scale_by_group": True}, "series 'b'", "train"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_refused_with_their_number(case: str, tmp_path: Path) -> None:
    rows, how, place, fact = BAD[case]
    with pytest.raises(DataError) as raised:
        prepared(tmp_path, rows, **how)
    assert raised.value.code == case.split()[0]
    assert place in raised.value.message
    assert fact in raised.value.message
    assert raised.value.hint


GERMAN = [f"{moment:%d.%m.%Y %H:%M}" for moment in hours(60)]
WORDS = "words are read under data.columns.static and known only"


@pytest.mark.parametrize(
    ("rows", "roles", "source", "remedy"),
    [
        (table() | {"time": GERMAN}, {}, {}, 'set data.source.time_format: "%d.%m.%Y %H:%M"'),
        (table() | {"time": GERMAN}, {}, {"time_format": "DD.MM.YYYY"}, "\"%d.%m.%Y %H:%M\" instead of 'DD.MM.YYYY'"),
        (table() | {"time": ["noon"] * 60}, {}, {}, "ISO 8601"),
        (table(y=["0,7"] * 60), {}, {}, 'set data.source.decimal: ","'),
        (table(p=["2", "2,5"] * 30), {"known": ("p",)}, {}, 'set data.source.decimal: ","; or data.source.types: {p: text}'),
        (table(p=["cloudy"] * 60), {"observed": ("p",)}, {}, f"{WORDS}: write them as numbers, or take p out of data.columns.observed"),
        (table(y=["cloudy"] * 60), {}, {}, f"{WORDS}: write them as numbers, or name another column as data.columns.target"),
        (table(y=replaced(["1.5"] * 60, 9, "much")), {}, {}, "correct the value"),
    ],
)
def test_the_remedy_for_what_is_no_number_and_no_time_is_one_that_helps(
    tmp_path: Path, rows: dict[str, Any], roles: dict[str, Any], source: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(DataError) as raised:
        prepared(tmp_path, rows, columns=roles, source=Csv(kind="csv", path="a.csv", **source))
    assert remedy in (raised.value.hint or "")


def test_what_a_hint_says_of_lengths_helps(tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        prepared(tmp_path, table(40), borders=(28, 34), context=30, horizon=4)
    context = re.search(r"task.context: (\d+)", str(raised.value.hint))
    assert context
    prepared(tmp_path / "again", table(40), borders=(28, 34), context=int(context[1]), horizon=4)


@pytest.mark.parametrize(("split", "first", "count"), [("train", 0, 28), ("validation", 30, 10), ("test", 42, 10)])
def test_a_window_of_a_later_split_looks_back_into_the_one_before(tmp_path: Path, split: str, first: int, count: int) -> None:
    prepared(tmp_path, table())
    assert open_arrays(tmp_path / "examples").starts[split].tolist() == list(range(first, first + count))


def test_stride_leaves_out_windows_of_train_alone(tmp_path: Path) -> None:
    prepared(tmp_path, table(), stride=5)
    starts = open_arrays(tmp_path / "examples").starts
    assert starts["train"].tolist() == list(range(0, 28, 5))
    assert len(starts["test"]) == 10


def test_no_window_reaches_over_a_gap_between_splits(tmp_path: Path) -> None:
    made, _ = prepared(tmp_path, table() | {"time": hours(36) + hours(24, first=40)}, borders=(36, 48))
    starts = open_arrays(tmp_path / "examples").starts
    assert starts["validation"].tolist() == [36, 37, 38, 39], "the context lies in it too"
    assert starts["test"].tolist() == list(range(42, 52))
    assert [code for code, _ in made.warnings] == ["gap-between-splits", "season-exceeds-context"]


def test_rows_of_groups_in_turn_are_the_same_as_one_group_after_the_other(tmp_path: Path) -> None:
    rows = in_turn()
    prepared(tmp_path / "turn", rows, **TWO)
    found = open_arrays(tmp_path / "turn" / "examples")
    assert found.names == ("a", "b")
    assert found.series.tolist() == [0, 60, 120]
    assert found.starts["test"].tolist() == [*range(42, 52), *range(102, 112)]
    scale = found.scales[:, 0, 0]
    np.testing.assert_allclose(found.values[:, 0] * scale[1] + scale[0], [*rows["y"][::2], *rows["y"][1::2]], atol=1e-4)


def test_groups_of_several_columns_are_one_series_each(tmp_path: Path) -> None:
    rows = {"time": [t for t in hours(60) for _ in range(4)], "g": ["a", "a", "b", "b"] * 60, "h": [1, 2, 1, 2] * 60, "y": np.arange(240.0)}
    made, _ = prepared(tmp_path, rows, columns={"group": ("g", "h")}, borders=(144, 192))
    assert open_arrays(tmp_path / "examples").names == ("a/1", "a/2", "b/1", "b/2")
    assert made.values["splits"]["test"] == {"samples": 40, "predictions": 120, "positions": 360}


def test_a_series_that_ends_early_is_no_part_of_a_later_split(tmp_path: Path) -> None:
    rows = {"time": hours(60) + hours(30), "g": ["a"] * 60 + ["b"] * 30, "y": np.arange(90.0)}
    order = np.argsort(np.array(rows["time"], dtype="datetime64[us]"), kind="stable")
    made, _ = prepared(tmp_path, {name: np.array(of)[order] for name, of in rows.items()}, columns={"group": "g"}, borders=(60, 74))
    assert ("series-without-window", "1 of 2 series have too few rows in test for a window, and are no part of it") in made.warnings
    assert set(open_arrays(tmp_path / "examples").series_of(open_arrays(tmp_path / "examples").starts["test"])) == {0}


@pytest.mark.parametrize(("scaling", "reference"), [("standard", StandardScaler()), ("robust", RobustScaler())])
@pytest.mark.parametrize("by_group", [False, True])
def test_numbers_are_scaled_as_sklearn_does_by_the_rows_of_train(tmp_path: Path, scaling: str, reference: Any, by_group: bool) -> None:
    rows = in_turn() | {"y": np.random.default_rng(0).gamma(2, 3, 120)}
    prepared(tmp_path, rows, **TWO, scaling=scaling, scale_by_group=by_group)
    values = open_arrays(tmp_path / "examples").values[:, 0].reshape(2, 60)
    of = rows["y"].reshape(60, 2).T
    for number in range(2):
        train = of[number, :36] if by_group else of[:, :36]
        np.testing.assert_allclose(values[number], reference.fit(train.reshape(-1, 1)).transform(of[number][:, None])[:, 0], rtol=1e-5)


def test_a_column_that_does_not_vary_in_train_is_not_divided_and_told(tmp_path: Path) -> None:
    made, _ = prepared(tmp_path, table(y=[4.2] * 40 + [5.2] * 20))
    assert [code for code, _ in made.warnings] == ["season-exceeds-context", "constant-column"]
    np.testing.assert_allclose(open_arrays(tmp_path / "examples").values[:, 0], [0] * 40 + [1] * 20, atol=1e-6)


@pytest.mark.parametrize("by_group", [False, True])
def test_a_value_far_from_all_others_is_told_with_its_row(tmp_path: Path, by_group: bool) -> None:
    rows = in_turn() | {"o": np.arange(120.0)}
    rows |= {"y": replaced(rows["y"], 41, 1e30), "o": replaced(rows["o"], 100, -1e30)}
    columns = {"group": "g", "observed": ("o",)}
    made, _ = prepared(tmp_path / "far", rows, borders=(72, 96), columns=columns, scale_by_group=by_group)
    said = [text for code, text in made.warnings if code == "far-out-value"]
    assert [text.split(",")[0] for text in said] == [
        "row 42 (train) holds 1e+30 in column 'y'",
        "row 101 (test) holds -1e+30 in column 'o'",
    ]


def test_a_category_that_train_lacks_is_unknown_and_told_with_its_row(tmp_path: Path) -> None:
    made, _ = prepared(tmp_path, table(p=["b"] * 20 + ["a"] * 35 + ["c"] * 5), columns={"known": ("p",)})
    assert open_arrays(tmp_path / "examples").categories[:, 0].tolist() == [2] * 20 + [1] * 35 + [0] * 5
    assert made.values["sizes"]["known_categories"] == [3]
    (text,) = [text for code, text in made.warnings if code == "unseen-category"]
    assert "5 rows" in text
    assert "'c' in row 56 (test)" in text


@pytest.mark.parametrize(
    ("time", "label", "season"),
    [
        (hours(60), "1 hour", 24),
        ([str(moment) for moment in hours(60)], "1 hour", 24),
        ([moment.isoformat() + "+02:00" for moment in hours(60)], "1 hour", 24),
        ([moment.replace(tzinfo=UTC) for moment in hours(60)], "1 hour", 24),
        ([START + timedelta(minutes=15 * n) for n in range(60)], "15 minutes", 96),
        ([date(2024, 1, 1) + timedelta(days=n) for n in range(60)], "1 day", 7),
        ([date(2024, 1, 1) + timedelta(weeks=n) for n in range(60)], "1 week", 52),
        ([datetime(2020 + n // 12, n % 12 + 1, 1) for n in range(60)], "1 month", 12),
        ([datetime(2020 + (n + 1) // 12, (n + 1) % 12 + 1, 1) - timedelta(days=1) for n in range(60)], "1 month", 12),
        ([datetime(2000 + n // 4, n % 4 * 3 + 1, 15) for n in range(60)], "3 months", 4),
        ([datetime(1950 + n, 7, 1) for n in range(60)], "12 months", 1),
        (range(100, 160), "1 step", 1),
        (range(0, 600, 10), "10 steps", 1),
    ],
)
def test_the_frequency_is_found_and_with_it_the_season(tmp_path: Path, time: Any, label: str, season: int) -> None:
    made, _ = prepared(tmp_path, table() | {"time": list(time)})
    assert (made.values["frequency"], made.values["season"]) == (label, season)


def test_numbers_come_from_any_type_that_holds_them(tmp_path: Path) -> None:
    plain, _ = prepared(tmp_path / "plain", table(y=np.arange(60.0)))
    for number, of in enumerate(([str(n) for n in range(60)], [Decimal(n) for n in range(60)], pa.array(range(60), pa.int8()))):
        assert prepared(tmp_path / str(number), table(y=of))[0] == plain
        for name in ("values", "scales"):
            files = [(tmp_path / folder / "examples" / f"{name}.npy").read_bytes() for folder in ("plain", str(number))]
            assert files[0] == files[1]


@pytest.mark.parametrize("encoding", ["cyclic", "category"])
def test_the_calendar_is_that_of_pythons_dates(tmp_path: Path, encoding: str) -> None:
    names = ("minute", "hour", "weekday", "day_of_month", "day_of_year", "week", "month", "quarter")
    moments = [datetime(2023, 12, 28) + timedelta(hours=7 * n) for n in range(2000)]
    expected = [
        (m.minute, m.hour, m.weekday(), m.day - 1, m.timetuple().tm_yday - 1, m.isocalendar().week - 1, m.month - 1, (m.month - 1) // 3)
        for m in moments
    ]
    array = np.array(moments, dtype="datetime64[us]")
    assert np.array_equal(np.stack([feature(array, name) for name in names], axis=1), expected)
    made, spec = prepared(tmp_path, table(), calendar=("hour", "weekday"), calendar_encoding=encoding)
    assert spec.task.sizes(spec, {}) == made.values["sizes"] | {
        "known_categories": tuple(made.values["sizes"]["known_categories"]),
        "static_categories": (),
    }
    found = open_arrays(tmp_path / "examples")
    if encoding == "category":
        assert found.categories[:30, 0].tolist() == [*range(24), *range(6)]
        return
    np.testing.assert_allclose(found.known[:, 0] ** 2 + found.known[:, 1] ** 2, 1, rtol=1e-6)
    np.testing.assert_allclose(found.known[6, :2], [1, 0], atol=1e-6)


def test_the_calendar_is_that_of_the_place_whatever_the_clock_of_the_file(tmp_path: Path) -> None:
    local = pa.array([moment.replace(tzinfo=UTC) for moment in hours(60)], pa.timestamp("ms", tz="Asia/Tokyo"))
    prepared(tmp_path, table() | {"time": local}, calendar=("hour",), calendar_encoding="category")
    assert open_arrays(tmp_path / "examples").categories[0, 0] == 9


def test_preparing_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepared(tmp_path / name, in_turn(), **TWO, calendar=("hour",))
    files = [{path.name: path.read_bytes() for path in (tmp_path / name / "examples").iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
    assert {"values.npy", "train.npy", "validation.npy", "test.npy", "series.json"} < set(files[0])
