"""Draws panels as static SVG. Altair describes the chart, vl-convert renders it, without a browser or a network.

Owns what is drawn and where; `drawing` makes the result one that a page can carry.
"""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import vl_convert

from specrun.report.curves import Curve
from specrun.report.drawing import FONT, Frame, Key, finish
from specrun.report.theme import light
from specrun.report.views import Axis, Mark, Panel

FRAME = Frame(width=360, height=190, left=52, right=18, top=30, bottom=40)
"""The plot area lies at a known place, so that scripts find values without measuring."""

_FORMATS = {"number": "~g", "percent": "~%", "rate": "~e", "count": "~s"}


def draw(panel: Panel, axis: Axis, *, prefix: str, standalone: bool = False) -> str:
    """The panel as SVG text. prefix: makes ids unique in a page. standalone: carries its own style for a dark page.

    The same panel gives the same text. panel must not be empty.
    """
    assert not panel.empty
    svg = vl_convert.vegalite_to_svg(_chart(panel, axis), allowed_base_urls=[])
    return finish(
        svg, title=panel.title, summary=panel.summary, keys=_keys(panel), prefix=prefix, standalone=standalone, left=float(FRAME.left)
    )


def _keys(panel: Panel) -> list[Key]:
    """The curves, and the best step. A lone curve named as its panel needs no legend."""
    alone = len(panel.curves) == 1 and panel.curves[0].label in (panel.title.lower(), panel.unit)
    keys = [] if alone else [Key(curve.label, curve.role) for curve in panel.curves]
    return [*keys, Key(panel.best.label, "ink", "ring")] if panel.best else keys


def _chart(panel: Panel, axis: Axis) -> dict[str, Any]:
    """The panel as a Vega-Lite document."""
    steps = _written("~s" if panel.steps[1] >= 10_000 else ",d")
    title = "optimizer step" if panel.across == "step" else f"{panel.across} of training"
    x = alt.X("step:Q", title=title, scale=alt.Scale(domain=list(panel.steps), nice=False),
              axis=alt.Axis(values=step_ticks(int(panel.steps[1])), labelExpr=steps, labelFlush=False))  # fmt: skip
    scale = alt.Scale(domain=[axis.low, axis.high], nice=False, type="log" if axis.log else "linear")
    y = alt.Y("value:Q", title=None, scale=scale, axis=_value_axis(axis))
    layers: list[alt.Chart] = []
    if panel.level:
        layers += _level(panel.level, axis, y)
    for curve in panel.curves:
        layers += _line(curve, axis, x, y)
    if panel.best and panel.best.step is not None:
        layers += _best(panel.best.step, panel.best.value, x, y)
    soft, grid = light("soft"), light("grid")
    chart = (
        alt.layer(*layers)
        .properties(width=FRAME.width, height=FRAME.height, padding=FRAME.padding, background="transparent",
                    autosize=alt.AutoSizeParams(type="none"))
        .configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(labelColor=soft, titleColor=soft, gridColor=grid, domainColor=grid, tickColor=grid, labelFontSize=11,
                        titleFontSize=11, titleFontWeight="normal", titlePadding=8, labelPadding=5, tickSize=4)
        .configure_axisX(grid=False)
        .configure_axisY(domain=False, ticks=False)
    )  # fmt: skip
    document: dict[str, Any] = chart.to_dict()
    return document


def _value_axis(axis: Axis) -> alt.Axis:
    """Ticks of the values. Within a power of ten, a log axis has its ticks named one by one: vega would name none."""
    large = max(abs(axis.low), abs(axis.high)) >= 10_000
    style = "~s" if axis.style == "number" and large else _FORMATS[axis.style]
    if axis.log:
        return alt.Axis(values=log_ticks(axis.low, axis.high), labelExpr=_written(style))
    return alt.Axis(tickCount=5, labelExpr=_written(style))


def _written(style: str) -> str:
    """A Vega expression that writes a tick; zero has neither a unit nor an exponent."""
    return f"datum.value === 0 ? '0' : format(datum.value, '{style}')"


def step_ticks(last: int) -> list[int]:
    """Whole numbers from 0 on, three to seven of them, at distances of 1, 2 or 5 times a power of ten."""
    power = 10 ** max(0, len(str(last)) - 2)
    distance = next(each * power for each in (1, 2, 5, 10, 20, 50) if last <= each * power * 6)
    return list(range(0, last + 1, distance))


def log_ticks(low: float, high: float) -> list[float]:
    """Round values inside a log domain, up to six of them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 5, 7),
        tuple(range(1, 10)),
        tuple(n / 10 for n in range(10, 100, 2)),
        tuple(n / 50 for n in range(50, 500)),
    ):
        ticks = [float(f"{step * 10.0**power:.6g}") for power in range(first, last + 1) for step in steps]
        found = [tick for tick in ticks if low <= tick <= high]
        if len(found) >= 4:
            return found[:: -(-len(found) // 6)]
    return [low, high]


def _line(curve: Curve, axis: Axis, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    values = [{"step": step, "value": _drawable(value, axis)} for step, value in curve.samples]
    base = alt.Chart(alt.InlineData(values=values))
    colour = light(curve.role)
    layers = [base.mark_line(color=colour, strokeWidth=1.3 if curve.role == "train" else 2, strokeJoin="round", clip=True).encode(x=x, y=y)]
    alone = _isolated(values)
    if curve.dots or alone:
        shown = [value for value in values if value["value"] is not None] if curve.dots else alone
        dots = alt.Chart(alt.InlineData(values=shown)).mark_circle(color=colour, size=22, opacity=1, clip=True)
        layers.append(dots.encode(x=x, y=y))
    return layers


def _drawable(value: float | None, axis: Axis) -> float | None:
    """Zero and less have no place on a log axis: the line breaks there rather than dive to the edge."""
    return None if value is None or (axis.log and value <= 0) else value


def _isolated(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Values without a neighbour to be joined with: as a line they could not be seen."""
    there = [False, *(value["value"] is not None for value in values), False]
    return [value for i, value in enumerate(values, start=1) if there[i] and not there[i - 1] and not there[i + 1]]


def _level(level: Mark, axis: Axis, y: alt.Y) -> list[alt.Chart]:
    data = alt.Chart(alt.InlineData(values=[{"value": level.value, "label": level.label}]))
    rule = data.mark_rule(color=light("soft"), strokeDash=[2, 3], strokeWidth=1, clip=True).encode(y=y)
    near_top = _height(level.value, axis) > 0.9
    text = data.mark_text(
        color=light("soft"), align="right", baseline="top" if near_top else "bottom", dy=4 if near_top else -4, fontSize=11
    )
    return [rule, text.encode(y=y, text="label:N", x=alt.value(FRAME.width - 2))]


def _height(value: float, axis: Axis) -> float:
    """Where a value lies between the bottom and the top, 0 to 1."""
    if axis.log:
        return math.log(value / axis.low) / math.log(axis.high / axis.low)
    return (value - axis.low) / (axis.high - axis.low)


def _best(step: int, value: float, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    data = alt.Chart(alt.InlineData(values=[{"step": step, "value": value}]))
    rule = data.mark_rule(color=light("ink"), strokeDash=[4, 3], strokeWidth=1, opacity=0.55).encode(x=x)
    ring = data.mark_point(color=light("ink"), fill=light("paper"), size=60, strokeWidth=2, opacity=1).encode(x=x, y=y)
    return [rule, ring]
