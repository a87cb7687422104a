"""Figures that a task gives of its model, checked and with their values as a table. They are plain data: what draws them knows no task.

    heatmap  x, y: names; values: rows of numbers; format: count, percent or number; x_label, y_label
    bars     names, values; x_label
    lines    x: numbers, or times as ISO 8601; series: {name, values, style: solid, dashed or points}; bands: {name, lower, upper};
             x_label, y_label
    table    columns: {name, format: text, number, percent or count}; rows

Each has id, kind, title and caption. One that is not so is shown as what is wrong with it: tasks of a user's own give figures too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from specrun.report.curves import spread
from specrun.report.facts import Facts, mapping
from specrun.report.numbers import count, number, percent
from specrun.report.views import Column, Row, Table, TaskFigure

_WRITE: Mapping[str, Callable[[float | None], str]] = {"count": count, "percent": percent, "number": number}
_TABLE_ROWS = 24
_MOST_NAMES = 60
_MOST_POINTS = 20_000


class Malformed(ValueError):
    """A figure that is not as it should be."""


def task_figures(facts: Facts) -> tuple[TaskFigure, ...]:
    """Every figure of the evaluated split, in the task's order."""
    found = mapping(facts.result("evaluate").get("figures"))
    return tuple(
        task_figure(mapping(one), split=split, number_=place)
        for split, figures in found.items()
        for place, one in enumerate(figures if isinstance(figures, list) else (), start=1)
    )


def task_figure(one: Mapping[str, Any], *, split: str, number_: int) -> TaskFigure:
    """One figure. number_: its place, by which one without a usable id is named."""
    name = str(one.get("id", ""))
    id = f"figure-{name}" if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,60}", name) else f"figure-{number_}"
    title, caption, kind = str(one.get("title") or f"Figure {number_}"), str(one.get("caption") or ""), str(one.get("kind", ""))
    try:
        if kind not in _TABLES:
            raise Malformed(f"there is no figure of kind {kind!r}")
        values = _TABLES[kind](one, title)
    except (Malformed, KeyError, TypeError, ValueError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        return TaskFigure(id, kind, title, caption, split, {}, None, empty=f"This figure cannot be drawn: {why}.")
    return TaskFigure(id, kind, title, caption, split, dict(one), values)


def _heatmap(one: Mapping[str, Any], title: str) -> Table:
    x, y, values = _names(one, "x"), _names(one, "y"), one["values"]
    if len(values) != len(y) or any(len(row) != len(x) for row in values):
        raise Malformed(f"its values are not {len(y)} rows of {len(x)}")
    write = _WRITE[str(one.get("format", "number"))]
    rows = tuple(Row((name, *(write(_figure(value)) for value in row))) for name, row in zip(y, values, strict=True))
    return Table(title, (Column(str(one.get("y_label", ""))), *(Column(name, numeric=True) for name in x)), rows)


def _bars(one: Mapping[str, Any], title: str) -> Table:
    names, values = _names(one, "names"), _figures(one["values"])
    if len(names) != len(values):
        raise Malformed(f"it has {len(names)} names and {len(values)} values")
    rows = tuple(Row((name, number(value))) for name, value in zip(names, values, strict=True))
    return Table(title, (Column(""), Column(str(one.get("x_label", "")), numeric=True)), rows)


def _lines(one: Mapping[str, Any], title: str) -> Table:
    x, series = list(one["x"]), list(_columns(one))
    if len(x) * max(1, len(series)) > _MOST_POINTS:
        raise Malformed(f"it has more than {_MOST_POINTS:,} points")
    for name, values in series:
        if len(values) != len(x):
            raise Malformed(f"{name} has {len(values)} values for {len(x)} places")
    for place in x:
        if isinstance(place, str):
            datetime.fromisoformat(place)
        elif _figure(place) is None:
            raise Malformed("a place of its x is no number")
    chosen = spread(list(range(len(x))), limit=_TABLE_ROWS, keep=frozenset())
    rows = tuple(Row((_place(x[i]), *(number(values[i]) for _, values in series))) for i in chosen)
    heading = Column(str(one.get("x_label", "")), numeric=True)
    return Table(title, (heading, *(Column(name, numeric=True) for name, _ in series)), rows)


def _table(one: Mapping[str, Any], title: str) -> Table:
    columns = [(str(column["name"]), str(column.get("format", "text"))) for column in one["columns"]]
    rows = []
    for row in one["rows"]:
        if len(row) != len(columns):
            raise Malformed(f"a row has {len(row)} cells for {len(columns)} columns")
        cells = (str(cell) if kind == "text" else _WRITE[kind](_figure(cell)) for cell, (_, kind) in zip(row, columns, strict=True))
        rows.append(Row(tuple(cells)))
    return Table(title, tuple(Column(name, numeric=kind != "text") for name, kind in columns), tuple(rows))


_TABLES: Mapping[str, Callable[[Mapping[str, Any], str], Table]] = {
    "heatmap": _heatmap, "bars": _bars, "lines": _lines, "table": _table,
}  # fmt: skip


def _columns(one: Mapping[str, Any]) -> Iterator[tuple[str, list[float | None]]]:
    for series in one.get("series", ()):
        yield str(series["name"]), _figures(series["values"])
    for band in one.get("bands", ()):
        yield f"{band['name']}, lower", _figures(band["lower"])
        yield f"{band['name']}, upper", _figures(band["upper"])


def _names(one: Mapping[str, Any], key: str) -> list[str]:
    names = [str(name) for name in one[key]]
    if not 0 < len(names) <= _MOST_NAMES:
        raise Malformed(f"its {key} has {len(names)} names; there may be 1 to {_MOST_NAMES}")
    return names


def _figures(values: Sequence[Any]) -> list[float | None]:
    return [_figure(value) for value in values]


def _figure(value: Any) -> float | None:
    """A number that can be drawn; None for one that cannot."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{value!r} is no number")
    return float(value) if math.isfinite(value) else None


def _place(value: Any) -> str:
    return value.replace("T", " ") if isinstance(value, str) else number(_figure(value))
