"""Makes a rendered SVG one that a page can carry: named for screen readers, unique ids, colours by role, no inline styles.

A drawing carries concrete colours for a light page and a class for each role; the style sheet of the page around it, or the
one inside a file of its own, gives the classes their colours in the dark.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from specrun.report.theme import DRAWN, drawing_rules, light

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_SVG = "http://www.w3.org/2000/svg"
_ROLES = {light(role): role for role in DRAWN}
_LETTER_WIDTH = 5.6
"""Mean width of a letter of the legend, in the drawing's units."""
_GAP = 14
"""Between one name of the legend and the next mark."""
_ROW = 16
"""Height of a row of the legend, in the drawing's units."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Plot area and the space around it, in the drawing's units."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def padding(self) -> dict[str, int]:
        """The space around the plot area, by side."""
        return {"left": self.left, "right": self.right, "top": self.top, "bottom": self.bottom}


@dataclass(frozen=True, slots=True)
class Key:
    """An entry of a legend: a name, the role of its colour, and the mark it names."""

    name: str
    role: str
    mark: Literal["line", "dashed", "points", "band", "ring"] = "line"


def finish(svg: str, *, title: str, summary: str, keys: Sequence[Key], prefix: str, standalone: bool, left: float = 8.0) -> str:
    """Complete a drawing. summary: it in words, for those who cannot see it; keys: its legend, from `left` on. prefix: makes ids unique in
    a page. standalone: carries its own style for a dark page."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)  # noqa: S314 - what vl-convert wrote from our own figures
    # The renderer numbers its ids on from one drawing to the next; ours depend on nothing but the drawing.
    ids = [found for element in root.iter() if (found := element.get("id"))]
    names = {found: f"{prefix}-{number}" for number, found in enumerate(ids)}
    for element in root.iter():
        _plain(element, names)
    root.attrib.pop("version", None)
    root.set("class", "chart")
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    _insert(root, 0, "title", title, id=f"{prefix}-title")
    _insert(root, 1, "desc", summary, id=f"{prefix}-desc")
    _legend(root, keys, left=left)
    if standalone:
        _insert(root, 2, "style", drawing_rules())
    return ET.tostring(root, encoding="unicode")


def _plain(element: ET.Element, names: Mapping[str, str]) -> None:
    """Colours as roles too, ids under their new names; nothing that only the whole drawing should say."""
    assert element.get("style") is None, "a drawing carries a style that a page's security policy would refuse"
    for name in [name for name in element.attrib if name in ("class", "role") or name.startswith("aria-")]:
        del element.attrib[name]
    roles = [f"{paint}-{_ROLES[colour]}" for paint in ("fill", "stroke") if (colour := element.get(paint, "").lower()) in _ROLES]
    if roles:
        element.set("class", " ".join(roles))
    for name, value in element.items():
        if name == "id":
            element.set("id", names[value])
        elif "url(#" in value:
            element.set(name, re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names[found[1]]})", value))


def _insert(root: ET.Element, position: int, tag: str, text: str, **attributes: str) -> None:
    element = ET.Element(f"{{{_SVG}}}{tag}", attributes)
    element.text = text
    root.insert(position, element)


def _legend(root: ET.Element, keys: Sequence[Key], *, left: float) -> None:
    """Names above the plot, each beside its mark in its colour. Rows that the space above has no room for make the drawing higher."""
    *_, width, height = (float(part) for part in root.attrib["viewBox"].split())
    rows = list(_rows(keys, room=width - left))
    above = _ROW * max(0, len(rows) - 1)
    if above:
        root.set("viewBox", f"0 {-above:g} {width:g} {height + above:g}")
        root.set("height", f"{height + above:g}")
    legend = ET.SubElement(root, f"{{{_SVG}}}g", {"font-family": FONT, "font-size": "11"})
    for place, row in enumerate(rows):
        at = left
        for key, name in row:
            at = _entry(legend, key, name, at, 13 - above + _ROW * place)


def _rows(keys: Sequence[Key], *, room: float) -> Iterator[list[tuple[Key, str]]]:
    """Keys with their names, as many in a row as it has room for; a name longer than a row is shortened."""
    row: list[tuple[Key, str]] = []
    used, longest = 0.0, max(8, int((room - 19) / _LETTER_WIDTH))
    for key in keys:
        name = key.name if len(key.name) <= longest else f"{key.name[: longest - 1]}…"
        needed = 19 + _LETTER_WIDTH * len(name)
        if row and used + needed > room:
            yield row
            row, used = [], 0.0
        row.append((key, name))
        used += needed + _GAP
    if row:
        yield row


def _entry(legend: ET.Element, key: Key, name: str, left: float, middle: float) -> float:
    """A mark and its name; returns where the next may begin."""
    stroke, fill = {"class": f"stroke-{key.role}"}, {"class": f"fill-{key.role}"}
    if key.mark == "ring":
        ring = {"cx": f"{left + 5:g}", "cy": f"{middle:g}", "r": "3.5", "fill": "none", "stroke": light(key.role), "stroke-width": "1.8"}
        ET.SubElement(legend, f"{{{_SVG}}}circle", {**ring, **stroke})
        return _label(legend, name, left + 14, middle + 4)
    if key.mark == "points":
        dot = {"cx": f"{left + 7:g}", "cy": f"{middle:g}", "r": "2.5", "fill": light(key.role)}
        ET.SubElement(legend, f"{{{_SVG}}}circle", {**dot, **fill})
    elif key.mark == "band":
        area = {"x": f"{left:g}", "y": f"{middle - 5:g}", "width": "14", "height": "10", "fill": light(key.role), "fill-opacity": "0.25"}
        ET.SubElement(legend, f"{{{_SVG}}}rect", {**area, **fill})
    else:
        ends = {"x1": f"{left:g}", "x2": f"{left + 14:g}", "y1": f"{middle:g}", "y2": f"{middle:g}"}
        line = {**ends, "stroke": light(key.role), "stroke-width": "2.5"}
        dashed = {"stroke-dasharray": "4 3"} if key.mark == "dashed" else {}
        ET.SubElement(legend, f"{{{_SVG}}}line", {**line, **dashed, **stroke})
    return _label(legend, name, left + 19, middle + 4)


def _label(legend: ET.Element, text: str, left: float, base: float) -> float:
    """Write a label; returns where the next may begin."""
    label = ET.SubElement(legend, f"{{{_SVG}}}text", {"x": f"{left:g}", "y": f"{base:g}", "fill": light("ink"), "class": "fill-ink"})
    label.text = text
    return left + _LETTER_WIDTH * len(text) + _GAP
