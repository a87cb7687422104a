"""Writes a run's view as documents: one self-contained HTML file, and Markdown with its charts beside it.

The same view gives the same bytes. Nothing in a page is fetched from elsewhere, and nothing but its own script may run.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from specrun.errors import SpecrunError
from specrun.records.atomic import atomic_write, storage_failure
from specrun.report import markdown
from specrun.report.charts import FRAME, draw
from specrun.report.figure_charts import draw_figure
from specrun.report.theme import page_rules
from specrun.report.views import Axis, Panel, RunView
from specrun.resources import template_folder
from specrun.spec.visible import visible

FILES = {"html": "report.html", "md": "report.md"}
CHARTS = "charts"
"""Folder of the Markdown report's drawings, beside it."""


def render(view: RunView, formats: Sequence[str], folder: Path) -> dict[str, Path]:
    """Write the documents of the formats into a folder. Returns format -> path. Raises StoreError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if "md" in formats:
            (folder / CHARTS).mkdir(exist_ok=True)
    except OSError as error:
        raise storage_failure(folder, error) from error
    written: dict[str, Path] = {}
    for name in formats:
        if name not in FILES:
            raise SpecrunError(f"{name} is not a format of reports", code="unknown-format", hint=f"formats are {', '.join(FILES)}")
        if name == "md":
            for panel in _drawn(view):
                atomic_write(folder / CHARTS / f"{panel.id}.svg", draw(panel, panel.axes[0], prefix=panel.id, standalone=True) + "\n")
            for figure in (figure for figure in view.figures if figure.drawn):
                atomic_write(folder / CHARTS / f"{figure.id}.svg", draw_figure(figure, prefix=figure.id, standalone=True) + "\n")
        written[name] = folder / FILES[name]
        atomic_write(written[name], html(view) if name == "html" else text(view))
    return written


def remove_others(formats: Sequence[str], folder: Path) -> None:
    """Remove documents that a report of these formats does not consist of: they would tell of an earlier one.

    Raises StoreError where that is refused.
    """
    try:
        for name in sorted(FILES.keys() - set(formats)):
            (folder / FILES[name]).unlink(missing_ok=True)
        if "md" not in formats and (folder / CHARTS).is_dir():
            shutil.rmtree(folder / CHARTS)
    except OSError as error:
        raise storage_failure(folder, error) from error


def html(view: RunView) -> str:
    """The report as one HTML file."""
    folder = template_folder("report")
    style = page_rules() + (folder / "report.css").read_text(encoding="utf-8")
    script = (folder / "report.js").read_text(encoding="utf-8")
    for asset, end in ((style, "</style"), (script, "</script")):
        assert end not in asset.lower(), f"an asset that contains {end} would end its own element"
    policy = "; ".join((
        "default-src 'none'", f"style-src '{content_digest(style)}'", f"script-src '{content_digest(script)}'", "img-src data:",
        "base-uri 'none'", "form-action 'none'",
    ))  # fmt: skip
    drawings = {
        panel.id: [Markup(draw(panel, axis, prefix=f"{panel.id}-{axis_name(axis)}")) for axis in panel.axes]  # noqa: S704 - see drawing
        for panel in _drawn(view)
    }
    figures = {figure.id: Markup(draw_figure(figure, prefix=figure.id)) for figure in view.figures if figure.drawn}  # noqa: S704 - as above
    template = environment().get_template("report.html.j2")
    return template.render(
        view=view,
        figures=figures,
        policy=policy,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        drawings=drawings,
        axis_name=axis_name,
        data=chart_data(view),
    )


def text(view: RunView) -> str:
    """The report as Markdown, its charts as links to drawings beside it."""
    template = environment().get_template("report.md.j2")
    return template.render(view=view, charts=CHARTS, plan=markdown.plan_table(view.plan), spec=markdown.spec_table(view.spec))


def axis_name(axis: Axis) -> str:
    """What an axis is called in ids and on buttons."""
    return "log" if axis.log else "linear"


def chart_data(view: RunView) -> dict[str, Any]:
    """What the page's script needs to show values under the pointer."""
    panels = {
        panel.id: {
            "steps": panel.steps,
            "across": panel.across,
            "axes": [{"low": axis.low, "high": axis.high, "log": axis.log, "style": axis.style} for axis in panel.axes],
            "curves": [
                {"label": curve.label, "role": curve.role, "points": [[step, float(f"{value:.6g}")] for step, value in curve.finite]}
                for curve in panel.curves
            ],
        }
        for panel in _drawn(view)
    }
    frame = {"left": FRAME.left, "top": FRAME.top, "width": FRAME.width, "height": FRAME.height}
    return {"frame": frame, "panels": panels}


def _drawn(view: RunView) -> list[Panel]:
    return [panel for panel in (*view.panels, *view.machine) if not panel.empty]


def content_digest(content: str) -> str:
    """A content security policy's name for exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def environment() -> jinja2.Environment:
    """Templates that can reach nothing, where everything is escaped that is not marked as safe by this package."""
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(template_folder("report")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name, write in (("md", markdown.inline), ("md_code", markdown.code), ("md_block", markdown.block), ("md_table", markdown.table)):
        environment.filters[name] = _marked(write)
    return environment


def _marked(write: Any) -> Any:
    """A filter whose outcome is escaped for Markdown already, so that it is not escaped for HTML once more."""
    return lambda *arguments, **options: Markup(write(*arguments, **options))  # noqa: S704 - escaped by `write`
