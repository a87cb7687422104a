"""The page in a real browser with the network off: nothing leaves, nothing fails, everything works by pointer and by keyboard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from specrun.report.render import html
from specrun.report.run_view import run_view
from tests.report.browser import Browser, browser, executable
from tests.report.report_fakes import RUN_ID, a_run
from tests.report.test_page import poisoned

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(executable() is None, reason="no Chromium is installed here"),
]
POINT = "document.querySelector('.plot[data-panel=loss] .drawing:not([hidden]) svg').getBoundingClientRect().toJSON()"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def tab(chromium: Browser) -> Browser:
    chromium.new_tab()
    return chromium


@pytest.fixture
def page(tmp_path: Path) -> Path:
    records, results = a_run()
    path = tmp_path / "report.html"
    path.write_text(html(run_view(records, RUN_ID, results=results)))
    return path


def shown(tab: Browser, selector: str) -> int:
    """How many elements of a kind can be seen."""
    found: int = tab.evaluate(f"[...document.querySelectorAll({selector!r})].filter((e) => e.checkVisibility()).length")
    return found


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_without_an_error_a_request_or_a_sideways_scroll(tab: Browser, page: Path, width: int, dark: bool) -> None:
    tab.open(page, width=width, dark=dark)
    assert tab.problems == []
    assert tab.requests == [page.as_uri()]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(14, 17, 22)" if dark else "rgb(246, 247, 249)")
    line = tab.evaluate("getComputedStyle(document.querySelector('svg.chart .stroke-train')).stroke")
    assert line == ("rgb(86, 180, 233)" if dark else "rgb(0, 114, 178)")


def test_a_page_full_of_scripts_runs_none_of_them(tab: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html(poisoned()))
    tab.open(path)
    assert tab.problems == []
    assert not [event for event in tab.events if event.get("method") == "Page.javascriptDialogOpening"]
    assert tab.requests == [path.as_uri()]


def test_the_policy_stops_what_does_not_belong_to_the_page(tab: Browser, page: Path) -> None:
    page.write_text(page.read_text().replace("<main", "<script>window.stray = 1</script><img src='https://example.org/x.png'><main", 1))
    tab.open(page)
    assert tab.evaluate("window.stray") is None
    assert len([problem for problem in tab.problems if "Content Security Policy" in problem]) == 2
    assert tab.requests == [page.as_uri()]


def test_a_request_that_leaves_would_be_seen(tab: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<img src='https://example.org/x.png'><script>console.error('stray')</script>")
    tab.open(page)
    assert tab.requests == [page.as_uri(), "https://example.org/x.png"]
    assert any("stray" in problem for problem in tab.problems)


def test_the_pointer_reads_values_where_they_are_drawn(tab: Browser, page: Path) -> None:
    tab.open(page)
    box: dict[str, Any] = tab.evaluate(POINT)
    x = box["left"] + box["width"] * (52 + 360 * 900 / 1200) / 430
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=box["top"] + box["height"] / 2)
    tip = tab.evaluate("document.querySelector('.plot[data-panel=loss] .tip').innerText")
    train = next(point.value for point in a_run()[0].curves["train/loss"] if point.step == 900)
    assert tip.split("\n") == ["step 900", f"train {train:.3f}", "validation 4.038"]
    ring = tab.evaluate("document.querySelector('.plot[data-panel=loss] circle.fill-validation').getBoundingClientRect().toJSON()")
    assert ring["left"] + ring["width"] / 2 == pytest.approx(x, abs=1)
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    assert shown(tab, ".tip") == 0


def press(tab: Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)


def test_the_keyboard_reads_values_too(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.evaluate("document.querySelector('.plot[data-panel=loss]').focus()")
    press(tab, "End")
    assert tab.evaluate("document.querySelector('.plot[data-panel=loss] .tip').innerText").startswith("step 1,200")
    press(tab, "Home")
    assert tab.evaluate("document.querySelector('.plot[data-panel=loss] .tip').innerText").startswith("step 10")
    press(tab, "Escape")
    assert shown(tab, ".tip") == 0


def test_the_scale_of_a_panel_can_be_changed(tab: Browser, page: Path) -> None:
    tab.open(page)
    scale = "document.querySelector('#panel-loss .drawing:not([hidden])').dataset.scale"
    assert tab.evaluate(scale) == "linear"
    tab.evaluate("document.querySelector('#panel-loss button.scale').click()")
    assert tab.evaluate(scale) == "log"
    assert tab.evaluate("document.querySelector('#panel-loss button.scale').getAttribute('aria-pressed')") == "true"


def test_the_spec_can_be_searched_sorted_and_reduced_to_what_was_set(tab: Browser, page: Path) -> None:
    tab.open(page)
    everything = shown(tab, "#spec-table tbody tr")
    tab.evaluate("document.querySelector('#only-set').click()")
    set_by_hand = shown(tab, "#spec-table tbody tr")
    assert 0 < set_by_hand < everything
    tab.evaluate("document.querySelector('#only-set').click()")
    search = "const f = document.querySelector('#spec-filter'); f.value = 'learning_rate'; f.dispatchEvent(new Event('input'))"
    tab.evaluate(f"{{{search}}}")
    assert shown(tab, "#spec-table tbody tr") == 4
    assert tab.evaluate("document.querySelector('#spec-found').innerText") == f"4 of {everything} values"
    tab.evaluate("document.querySelectorAll('#spec-table .sorter')[0].click()")
    names = tab.evaluate("[...document.querySelectorAll('#spec-table tbody th')].map((e) => e.textContent)")
    assert names == sorted(names)
    assert tab.evaluate("document.querySelector('#spec-table th').getAttribute('aria-sort')") == "ascending"


def test_without_its_script_the_page_still_reduces_the_spec_to_what_was_set(tab: Browser, page: Path) -> None:
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(page)
    assert shown(tab, "button") == 0
    box = tab.evaluate("document.querySelector('#only-set').getBoundingClientRect().toJSON()")
    everything = shown(tab, "#spec-table tbody tr")
    tab.evaluate(f"window.scrollTo({{top: {box['top']} - 200, behavior: 'instant'}})")
    box = tab.evaluate("document.querySelector('#only-set').getBoundingClientRect().toJSON()")
    for kind in ("mousePressed", "mouseReleased"):
        tab.call("Input.dispatchMouseEvent", type=kind, x=box["left"] + 6, y=box["top"] + 6, button="left", clickCount=1)
    assert 0 < shown(tab, "#spec-table tbody tr") < everything


def test_the_theme_can_be_chosen_against_the_systems(tab: Browser, page: Path) -> None:
    tab.open(page, dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.evaluate("document.querySelector('#theme').click()")
    assert (tab.evaluate(ground), tab.evaluate("document.querySelector('#theme').textContent")) == ("rgb(246, 247, 249)", "theme: light")
    tab.evaluate("document.querySelector('#theme').click()")
    assert tab.evaluate(ground) == "rgb(14, 17, 22)"


def test_a_command_can_be_copied(tab: Browser, page: Path) -> None:
    tab.open(page)
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.evaluate("document.querySelector('button.copy').click()")
    for _ in range(50):
        if tab.evaluate("document.querySelector('button.copy').textContent") != "copy":
            break
        time.sleep(0.02)
    assert tab.evaluate("document.querySelector('button.copy').textContent") == "copied"


def test_a_printed_page_is_light_and_has_no_controls(tab: Browser, page: Path) -> None:
    tab.open(page, dark=True)
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert shown(tab, "button") == shown(tab, "nav") == 0
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(29, 36, 48)"
