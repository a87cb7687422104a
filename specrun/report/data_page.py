"""Writes what there is to see of a data set as one HTML file: nothing in it is fetched from elsewhere, and nothing in it may run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from specrun.records.atomic import atomic_write
from specrun.report.data_figures import data_figures
from specrun.report.task_figures import task_figure
from specrun.report.theme import page_rules
from specrun.resources import template_folder


def write_data_page(path: Path, document: Mapping[str, Any], *, headline: Sequence[str]) -> None:
    """Write the page. headline: its first lines. Raises StoreError where it cannot be written."""
    from markupsafe import Markup

    from specrun.report.figure_charts import draw_figure
    from specrun.report.render import content_digest, environment

    figures = [task_figure(one, split="", number_=place) for place, one in enumerate(data_figures(document), start=1)]
    drawings = {figure.id: Markup(draw_figure(figure, prefix=figure.id)) for figure in figures if figure.drawn}  # noqa: S704 - see drawing
    style = page_rules() + (template_folder("report") / "report.css").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src '{content_digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    page = environment().get_template("data.html.j2").render(
        title=f"Data of {document['name']}", headline=list(headline), notices=list(document["warnings"]), figures=figures,
        drawings=drawings, policy=policy, style=Markup(style),  # noqa: S704 - our own file
    )  # fmt: skip
    atomic_write(path, page)
