"""Drawings are whole, named, and follow the theme of what they stand in."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.report.charts import FRAME, draw, log_ticks, step_ticks
from specrun.report.drawing import finish
from specrun.report.facts import read
from specrun.report.panels import panels
from specrun.report.theme import DRAWN, PAGE, drawing_rules, page_rules
from specrun.report.views import Panel, RunView
from tests.report.report_fakes import RUN_ID, a_run, points

SVG = "{http://www.w3.org/2000/svg}"


def loss_panel(values: dict[int, float]) -> Panel:
    records, _ = a_run()
    records.ending = None
    records.curves = {"train/loss": points(values)}
    return panels(read(records, RUN_ID))[0]


def lines_of(svg: str) -> list[str]:
    """Paths of curves in a drawing: those in a curve's colour."""
    return [e.get("d", "") for e in ET.fromstring(svg).iter(f"{SVG}path") if e.get("class") == "stroke-train"]


def test_a_value_is_drawn_where_the_page_script_looks_for_it() -> None:
    panel = loss_panel({0: 1.0, 50: 2.0, 100: 3.0})
    (path,) = lines_of(draw(panel, panel.axes[0], prefix="x"))
    numbers = [float(found) for found in re.findall(r"-?\d+(?:\.\d+)?", path)]
    axis = panel.axes[0]
    heights = [FRAME.height * (1 - (value - axis.low) / (axis.high - axis.low)) for value in (1.0, 2.0, 3.0)]
    assert numbers[0::2] == pytest.approx([0, FRAME.width / 2, FRAME.width])
    assert numbers[1::2] == pytest.approx(heights, abs=0.01)


def test_a_line_breaks_where_a_value_is_not_finite() -> None:
    panel = loss_panel({1: 1.0, 2: 2.0, 3: math.nan, 4: 2.0, 5: 1.0})
    (path,) = lines_of(draw(panel, panel.axes[0], prefix="x"))
    assert path.count("M") == 2


def test_a_value_without_neighbours_is_a_dot_because_its_line_has_no_length() -> None:
    panel = loss_panel({1: 1.0, 2: 2.0, 3: math.nan, 4: 2.5, 5: math.nan})
    drawing = ET.fromstring(draw(panel, panel.axes[0], prefix="x"))
    assert len([e for e in drawing.iter(f"{SVG}path") if e.get("class") == "fill-train"]) == 1


def test_every_colour_of_a_drawing_has_a_role_that_a_page_can_recolour(good_view: RunView) -> None:
    for panel in good_view.panels:
        for element in ET.fromstring(draw(panel, panel.axes[0], prefix="x")).iter():
            for paint in ("fill", "stroke"):
                colour = element.get(paint, "none")
                if colour not in ("none", "transparent"):
                    role = next(role for role, (light, _) in DRAWN.items() if light == colour)
                    assert f"{paint}-{role}" in element.get("class", "").split()


def test_a_drawing_in_a_page_has_no_style_and_one_in_a_file_brings_its_own(good_view: RunView) -> None:
    panel = good_view.panels[0]
    inside, alone = (ET.fromstring(draw(panel, panel.axes[0], prefix="x", standalone=own)) for own in (False, True))
    assert inside.findall(f"{SVG}style") == []
    assert [e.text for e in alone.findall(f"{SVG}style")] == [drawing_rules()]
    assert not any("style" in e.attrib for e in [*inside.iter(), *alone.iter()])


def test_a_drawing_does_not_depend_on_those_before_it(good_view: RunView) -> None:
    first, second = good_view.panels[0], good_view.panels[1]
    alone = draw(first, first.axes[0], prefix="x")
    draw(second, second.axes[0], prefix="y")
    assert draw(first, first.axes[0], prefix="x") == alone


def test_references_inside_a_drawing_are_met(good_view: RunView) -> None:
    for panel in good_view.panels:
        svg = draw(panel, panel.axes[0], prefix=panel.id)
        ids = set(re.findall(r'id="([^"]+)"', svg))
        assert set(re.findall(r"url\(#([^)]+)\)", svg)) <= ids
        assert all(found.startswith(panel.id) for found in ids)


def test_an_inline_style_is_refused_rather_than_shipped_to_a_page_that_forbids_it() -> None:
    with pytest.raises(AssertionError, match="security policy"):
        finish(f'<svg xmlns="{SVG[1:-1]}"><g style="fill:red"/></svg>', title="t", summary="s", keys=[], prefix="x", standalone=False)


def test_two_drawings_of_one_panel_share_no_id(good_view: RunView) -> None:
    panel = good_view.panels[0]
    found = [set(re.findall(r'id="([^"]+)"', draw(panel, axis, prefix=f"loss-{i}"))) for i, axis in enumerate(panel.axes)]
    assert len(found) == 2
    assert found[0] & found[1] == set()


@given(st.integers(min_value=1, max_value=10**12))
def test_steps_are_marked_at_three_to_seven_round_places_from_zero(last: int) -> None:
    ticks = step_ticks(last)
    assert ticks[0] == 0
    assert ticks[-1] <= last
    assert (2 if last == 1 else 3) <= len(ticks) <= 7


@given(st.floats(min_value=1e-12, max_value=1e9), st.floats(min_value=1.001, max_value=1e9))
def test_a_log_axis_has_two_to_six_marks_inside_it(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= 6
    assert all(low <= tick <= low * factor for tick in ticks)
    assert ticks == sorted(set(ticks))


extreme = st.floats(min_value=-1e30, max_value=1e30) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 5e-324])


@settings(max_examples=25)
@given(st.dictionaries(st.integers(min_value=0, max_value=10**9), extreme, min_size=1, max_size=12))
def test_any_values_give_a_drawing_or_a_reason(values: dict[int, float]) -> None:
    panel = loss_panel(values)
    if panel.empty:
        assert not any(math.isfinite(value) for value in values.values())
    else:
        for axis in panel.axes:
            assert "NaN" not in draw(panel, axis, prefix="x")


def luminance(colour: str) -> float:
    """Relative luminance of a colour, as WCAG 2.1 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("night", [False, True])
def test_text_can_be_read_on_every_ground_it_stands_on(night: bool) -> None:
    colours = {name: pair[night] for name, pair in {**PAGE, **DRAWN}.items()}
    grounds = [(text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "page", "faint")]
    grounds += [(tone, f"{tone}-back") for tone in ("good", "warning", "bad")] + [("ink", f"{tone}-back") for tone in ("warning", "bad")]
    assert {
        pair: contrast(*(colours[name] for name in pair)) for pair in grounds if contrast(*(colours[name] for name in pair)) < 4.5
    } == {}
    assert min(contrast(colours[curve], colours["paper"]) for curve in ("train", "validation")) >= 3


def test_both_themes_of_a_page_define_every_colour() -> None:
    blocks = re.findall(r"\{color-scheme:(?:light|dark);([^}]*)\}", page_rules())
    assert len(blocks) == 3
    assert {frozenset(re.findall(r"--([a-z-]+):", block)) for block in blocks} == {frozenset({**PAGE, **DRAWN})}
