"""Figures of a task: drawn from plain data, with the same values as a table; what is malformed is said and never drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from specrun.report.figure_charts import draw_figure
from specrun.report.task_figures import task_figure

CONFUSION: dict[str, Any] = {
    "id": "confusion", "kind": "heatmap", "title": "Confusion", "caption": "rows: the truth", "x_label": "predicted", "y_label": "true",
    "x": ["cat", "dog"], "y": ["cat", "dog"], "values": [[8, 2], [1, 9]], "format": "count",
}  # fmt: skip
WEIGHTS: dict[str, Any] = {
    "id": "weights", "kind": "bars", "title": "Weights", "caption": "", "x_label": "mean weight", "names": ["load", "hour"],
    "values": [0.7, 0.3],
}  # fmt: skip
FORECAST: dict[str, Any] = {
    "id": "forecast", "kind": "lines", "title": "A forecast", "caption": "one day", "x_label": "time", "y_label": "load",
    "x": ["2026-01-01T00:00:00", "2026-01-01T01:00:00", "2026-01-01T02:00:00"],
    "series": [{"name": "actual", "values": [1.0, 2.0, None], "style": "points"}, {"name": "median", "values": [1.1, 1.9, 2.5]}],
    "bands": [{"name": "80 %", "lower": [0.5, 1.0, 1.5], "upper": [1.5, 2.5, 3.5]}],
}  # fmt: skip
TABLE: dict[str, Any] = {
    "id": "by-target", "kind": "table", "title": "By target", "caption": "",
    "columns": [{"name": "target"}, {"name": "mae", "format": "number"}],
    "rows": [["OT", 0.25], ["HUFL", None]],
}  # fmt: skip


@pytest.mark.parametrize("document", [CONFUSION, WEIGHTS, FORECAST], ids=lambda it: it["kind"])
def test_a_figure_is_drawn_alike_each_time_with_a_name_and_without_styles(document: dict[str, Any]) -> None:
    figure = task_figure(document, split="test", number_=1)
    assert figure.drawn
    one, other = (draw_figure(figure, prefix="p") for _ in range(2))
    assert one == other
    root = ET.fromstring(one)
    assert root.get("role") == "img"
    assert document["title"] in one
    assert not [element for element in root.iter() if element.get("style")]


def test_the_values_of_a_figure_stand_in_a_table() -> None:
    confusion, weights, forecast, table = (task_figure(it, split="test", number_=1) for it in (CONFUSION, WEIGHTS, FORECAST, TABLE))
    for figure, rows in ((confusion, [("cat", "8", "2"), ("dog", "1", "9")]), (weights, [("load", "0.7000"), ("hour", "0.3000")]),
                         (table, [("OT", "0.2500"), ("HUFL", "–")])):  # fmt: skip
        assert figure.values is not None
        assert [row.cells for row in figure.values.rows] == rows
    assert forecast.values is not None
    assert forecast.values.rows[2].cells == ("2026-01-01 02:00:00", "–", "2.500", "1.500", "3.500")
    assert not table.drawn


@pytest.mark.parametrize(
    ("document", "change", "why"),
    [
        (CONFUSION, {"values": [[1]]}, "its values are not 2 rows of 2"),
        (CONFUSION, {"values": [[1, "<b>"], [2, 3]]}, "'<b>' is no number"),
        (CONFUSION, {"kind": "pie"}, "there is no figure of kind 'pie'"),
        (CONFUSION, {"x": []}, "its x has 0 names"),
        (WEIGHTS, {"values": [1.0]}, "it has 2 names and 1 values"),
        (FORECAST, {"x": [1, 2]}, "actual has 3 values for 2 places"),
        (FORECAST, {"x": ["soon", "later", "never"]}, "Invalid isoformat string"),
        (TABLE, {"rows": [[1]]}, "a row has 1 cells for 2 columns"),
    ],
)
def test_a_malformed_figure_is_said_to_be_and_not_drawn(document: dict[str, Any], change: dict[str, Any], why: str) -> None:
    figure = task_figure({**document, **change}, split="test", number_=3)
    assert why in figure.empty
    assert not figure.drawn


def test_a_figure_without_what_it_needs_says_what_that_is() -> None:
    assert "it has no 'values'" in task_figure({"kind": "heatmap", "x": ["a"], "y": ["a"]}, split="test", number_=2).empty


def test_names_of_figures_cannot_leave_their_place() -> None:
    for name in ("../../x", 'a" onload="x', "", "A B"):
        assert task_figure({**CONFUSION, "id": name}, split="test", number_=4).id == "figure-4"
    quoted = task_figure({**WEIGHTS, "names": ['"];alert(1);["', "</svg><script>"]}, split="test", number_=1)
    assert "<script>" not in draw_figure(quoted, prefix="p")


SIX = ["the model: temporal fusion transformer", "ridge regression on the past values", "season before", "last value", "mean", "a rival"]


def of_lines(values: list[float], *, names: list[str]) -> ET.Element:
    """The drawing of lines with those values."""
    document = {"kind": "lines", "x": [float(n) for n in range(len(values))], "series": [{"name": it, "values": values} for it in names]}
    return ET.fromstring(draw_figure(task_figure(document, split="test", number_=1), prefix="p"))


def texts(root: ET.Element) -> list[ET.Element]:
    return [element for element in root.iter() if element.tag.endswith("}text")]


def test_six_lines_have_six_colours_and_every_name_lies_inside_the_drawing() -> None:
    root = of_lines([1.0, 2.0], names=SIX)
    keys = [
        element for element in root.iter() if element.tag.endswith("}line") and element.get("x1") and element.get("stroke-width") == "2.5"
    ]
    assert len({key.get("stroke") for key in keys}) == len(keys) == 6
    _, top, width, height = (float(part) for part in root.attrib["viewBox"].split())
    named = [label for label in texts(root) if label.text in SIX]
    assert [label.text for label in named] == SIX
    assert len({label.get("y") for label in named}) > 1
    for label in named:
        assert float(label.get("x", "")) + 5.6 * len(str(label.text)) <= width
        assert top < float(label.get("y", "")) < 30
    assert float(root.attrib["height"]) == height
    (long,) = (str(label.text) for label in texts(of_lines([1.0, 2.0], names=["n" * 400])) if str(label.text).startswith("nnn"))
    assert long.endswith("…")


@pytest.mark.parametrize(
    ("largest", "ticks"), [(200.0, {"100", "200"}), (25e3, {"10,000", "20,000"}), (3e9, {"1B", "2B"}), (0.004, {"0.002"})]
)
def test_numbers_of_an_axis_are_written_in_full_or_with_a_unit(largest: float, ticks: set[str]) -> None:
    written = {str(label.text) for label in texts(of_lines([0.0, largest / 2, largest], names=["a"]))}
    assert ticks <= written
    assert not [text for text in written if "e+" in text or "e-" in text]
