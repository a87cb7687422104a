"""Draws the figures of a task as static SVG: heatmaps, bars, lines with bands. Altair describes the chart, vl-convert renders it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from specrun.report.drawing import FONT, Key, finish
from specrun.report.theme import light
from specrun.report.views import TaskFigure

_Drawing = alt.Chart | alt.LayerChart | alt.FacetChart
_COLOURS = ("train", "validation", "third", "fourth", "fifth", "sixth")
"""Of lines and bands, in their order."""
_LONGEST_LABEL = 26
_WRITTEN_CELLS = 12
"""Heatmaps of at most so many rows and columns have their values written into the cells."""
_PLOT = (420, 210)
_WIDER = 1.2
"""Of a letter of a name, in the drawing's units: how much wider another font may be."""
_LONG = 1e6
"""Numbers from here on are written as 2.5M, not in full."""
_FORMATS = {"count": ",.0f", "percent": ".0%", "number": ",.3~r"}


def draw_figure(figure: TaskFigure, *, prefix: str, standalone: bool = False) -> str:
    """The figure as SVG text. prefix: makes ids unique in a page. standalone: carries its own style for a dark page. The same figure gives
    the same text. It must be one that can be drawn: not empty, and no table."""
    assert figure.drawn
    one = figure.document
    chart, keys = _CHARTS[figure.kind](one)
    svg = vl_convert.vegalite_to_svg(_dressed(chart, left=_room(one)), allowed_base_urls=[])
    return finish(svg, title=figure.title, summary=figure.caption or figure.title, keys=keys, prefix=prefix, standalone=standalone)


def _heatmap(one: Mapping[str, Any]) -> tuple[_Drawing, list[Key]]:
    x, y = [_short(name) for name in one["x"]], [_short(name) for name in one["y"]]
    values = [[_finite(value) for value in row] for row in one["values"]]
    known = [value for row in values for value in row if value is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    cells = [{"x": j, "y": i, "value": value, "shade": (value - low) / ((high - low) or 1)}
             for i, row in enumerate(values) for j, value in enumerate(row) if value is not None]  # fmt: skip
    side = max(14, min(34, 380 // max(len(x), len(y))))
    across = alt.X("x:O", title=one.get("x_label"), axis=_names_axis(x, angle=-45 if max(map(len, x)) > 3 else 0))
    down = alt.Y("y:O", title=one.get("y_label"), axis=_names_axis(y))
    base = alt.Chart(alt.InlineData(values=cells)).encode(x=across, y=down)
    shade = alt.FillOpacity("shade:Q", scale=alt.Scale(domain=[0, 1], range=[0.03, 0.8]), legend=None)
    layers = [base.mark_rect(fill=light("train")).encode(fillOpacity=shade)]
    if max(len(x), len(y)) <= _WRITTEN_CELLS:
        style = _FORMATS[str(one.get("format", "number"))] if high < _LONG else ".3~s"
        layers.append(base.mark_text(color=light("ink"), fontSize=10).encode(text=alt.Text("value:Q", format=style)))
    return alt.layer(*layers).properties(width=side * len(x), height=side * len(y)), []


def _bars(one: Mapping[str, Any]) -> tuple[_Drawing, list[Key]]:
    names = [_short(name) for name in one["names"]]
    rows = [{"y": i, "value": _finite(value)} for i, value in enumerate(one["values"])]
    down = alt.Y("y:O", title=None, axis=_names_axis(names))
    across = alt.X("value:Q", title=one.get("x_label"), axis=alt.Axis(tickCount=5, labelExpr=tick_text([row["value"] for row in rows])))
    bars = alt.Chart(alt.InlineData(values=rows)).mark_bar(color=light("train"), cornerRadiusEnd=2).encode(x=across, y=down)
    return bars.properties(width=_PLOT[0] - 90, height=18 * len(names)), []


def _lines(one: Mapping[str, Any]) -> tuple[_Drawing, list[Key]]:
    places, keys, layers = one["x"], list[Key](), list[alt.Chart]()
    in_time = bool(places) and isinstance(places[0], str)
    scale = alt.Scale(type="utc") if in_time else alt.Scale(nice=False, zero=False)
    named: dict[str, Any] = {} if in_time else {"labelExpr": tick_text([float(place) for place in places])}
    axis = alt.Axis(tickCount=6, grid=False, labelFlush=False, **named)
    across = alt.X("x:T" if in_time else "x:Q", title=one.get("x_label"), scale=scale, axis=axis)
    upward = alt.Axis(tickCount=5, labelExpr=tick_text(_drawn(one)))
    down: Any = {"title": one.get("y_label"), "scale": alt.Scale(zero=False), "axis": upward}
    for place, band in enumerate(one.get("bands", ())):
        colour = _COLOURS[place % len(_COLOURS)]
        edges = zip(places, band["lower"], band["upper"], strict=True)
        rows = [{"x": x, "low": _finite(low), "high": _finite(high)} for x, low, high in edges]
        area = alt.Chart(alt.InlineData(values=rows)).mark_area(fill=light(colour), fillOpacity=0.18)
        layers.append(area.encode(x=across, y=alt.Y("low:Q", **down), y2="high:Q"))
        keys.append(Key(str(band["name"]), colour, "band"))
    solid = 0
    for series in one.get("series", ()):
        style = str(series.get("style", "solid"))
        colour = {"points": "ink", "dashed": "soft"}.get(style) or _COLOURS[solid % len(_COLOURS)]
        solid += style == "solid"
        rows = [{"x": x, "value": _finite(value)} for x, value in zip(places, series["values"], strict=True)]
        base = alt.Chart(alt.InlineData(values=rows))
        if style == "points":
            layers.append(base.mark_circle(color=light(colour), size=14, opacity=1).encode(x=across, y=alt.Y("value:Q", **down)))
        else:
            dash = [4, 3] if style == "dashed" else [1, 0]
            line = base.mark_line(color=light(colour), strokeWidth=1.8, strokeDash=dash, strokeJoin="round")
            layers.append(line.encode(x=across, y=alt.Y("value:Q", **down)))
        keys.append(Key(str(series["name"]), colour, "points" if style == "points" else "dashed" if style == "dashed" else "line"))
    return alt.layer(*layers).properties(width=_PLOT[0], height=_PLOT[1]), keys


def _drawn(one: Mapping[str, Any]) -> list[float | None]:
    """Every value of lines and bands."""
    edges = [band[edge] for band in one.get("bands", ()) for edge in ("lower", "upper")]
    return [_finite(value) for values in [*edges, *(series["values"] for series in one.get("series", ()))] for value in values]


def tick_text(values: Sequence[float | None]) -> str:
    """A Vega expression that writes the ticks of an axis of such values: 200, 25,000 and 0.002 in full, and 2M for what is longer."""
    largest = max((abs(value) for value in values if value is not None), default=1.0)
    style = "~s" if largest >= _LONG else ",.6~f" if largest >= 1e-3 or largest == 0 else "~e"
    return f"datum.value === 0 ? '0' : replace(format(datum.value, '{style}'), 'G', 'B')"


_CHARTS = {"heatmap": _heatmap, "bars": _bars, "lines": _lines}


def _room(one: Mapping[str, Any]) -> float:
    """Space on the left, for names that a browser writes in a wider font than the renderer measured them in."""
    names = one.get("names") or one.get("y") or ()
    return 6 + _WIDER * max((len(_short(name)) for name in names), default=0)


def _dressed(chart: _Drawing, *, left: float) -> dict[str, Any]:
    soft, grid = light("soft"), light("grid")
    document: dict[str, Any] = (
        chart.properties(background="transparent", padding={"left": left, "right": 14, "top": 30, "bottom": 6})
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(labelColor=soft, titleColor=soft, gridColor=grid, domainColor=grid, tickColor=grid, labelFontSize=11,
                        titleFontSize=11, titleFontWeight="normal", titlePadding=8, labelLimit=240)
        .configure_axisY(domain=False, ticks=False)
    ).to_dict()  # fmt: skip
    return document


def _names_axis(names: Sequence[str], *, angle: int = 0) -> alt.Axis:
    """Names by their number: two rows of one name stay two. A name is data, so that it goes in as a string of the expression."""
    return alt.Axis(labelExpr=f"{json.dumps(list(names))}[datum.value]", labelAngle=angle, grid=False, ticks=False, domain=False)


def _short(name: Any) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
