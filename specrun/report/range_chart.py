"""Draws a learning-rate range test: the loss over the rate, and the rate that it suggests. Altair describes, vl-convert renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from specrun.plan import figures
from specrun.records.atomic import atomic_write
from specrun.report.charts import log_ticks
from specrun.report.drawing import FONT
from specrun.report.theme import light

SUFFIXES = (".svg", ".png")
_RATE = "format(datum.value, datum.value < 0.01 ? '~e' : '~g')"
_ROOM = 0.06
"""Share of the height above the first loss and below the lowest."""


def write_range_chart(path: Path, curve: Mapping[str, Sequence[float]], *, rate: float, title: str) -> None:
    """Draw to a file, whose suffix says the format. curve: rates, losses, smoothed. Raises: StoreError where it cannot be written."""
    document = _chart(curve, rate=rate, title=title)
    if path.suffix.lower() == ".png":
        atomic_write(path, vl_convert.vegalite_to_png(document, scale=2, allowed_base_urls=[]))
    else:
        atomic_write(path, vl_convert.vegalite_to_svg(document, allowed_base_urls=[]))


def loss_limits(losses: Sequence[float], smoothed: Sequence[float]) -> tuple[float, float]:
    """The losses worth a place: from the lowest to somewhat above the highest of the quiet part. What diverges leaves the frame."""
    low, start = min(losses), max(smoothed[0], losses[0])
    room = _ROOM * ((start - low) or abs(start) or 1.0)
    return low - room, start + 3 * room


def _chart(curve: Mapping[str, Sequence[float]], *, rate: float, title: str) -> dict[str, Any]:
    rates = curve["rates"]
    low, high = loss_limits(curve["losses"], curve["smoothed"])
    ticks = log_ticks(rates[0], rates[-1])
    x = alt.X("rate:Q", title="learning rate", scale=alt.Scale(type="log", domain=[rates[0], rates[-1]], nice=False),
              axis=alt.Axis(values=ticks, labelExpr=_RATE, grid=False))  # fmt: skip
    y = alt.Y(
        "loss:Q",
        title="loss",
        scale=alt.Scale(domain=[low, high], nice=False),
        axis=alt.Axis(tickCount=5, labelExpr="format(datum.value, '~g')"),
    )

    def line(name: str, **marks: Any) -> alt.Chart:
        values = [{"rate": rate, "loss": loss} for rate, loss in zip(rates, curve[name], strict=True)]
        drawn: alt.Chart = alt.Chart(alt.InlineData(values=values)).mark_line(clip=True, strokeJoin="round", **marks).encode(x=x, y=y)
        return drawn

    mark = alt.Chart(alt.InlineData(values=[{"rate": rate, "label": figures.learning_rate(rate)}]))
    rule = mark.mark_rule(color=light("ink"), strokeDash=[4, 3], strokeWidth=1.2).encode(x=x)
    text = mark.mark_text(color=light("ink"), align="right", dx=-5, dy=10, fontSize=12, fontWeight="bold", baseline="top")
    chart = (
        alt.layer(
            line("losses", color=light("train"), strokeWidth=1, opacity=0.45), line("smoothed", color=light("validation"), strokeWidth=2.2),
            rule, text.encode(x=x, y=alt.value(0), text="label:N"),
        )
        .properties(width=520, height=280, background=light("paper"), padding=14,
                    title=alt.TitleParams(title, anchor="start", fontSize=13, color=light("ink"), subtitleColor=light("soft"),
                                          subtitle="loss of each step, and its moving average; dashed: where that falls steepest"))
        .configure(font=FONT)
        .configure_view(stroke=None)
        .configure_axis(labelColor=light("soft"), titleColor=light("soft"), gridColor=light("grid"), domainColor=light("grid"),
                        tickColor=light("grid"), titleFontWeight="normal")
        .configure_axisY(domain=False, ticks=False)
    )  # fmt: skip
    document: dict[str, Any] = chart.to_dict()
    return document
