"""The HTML report: one file, nothing fetched, nothing run but its own script, readable by everyone."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from specrun.records.rows import AlertRow, ArtifactRow, ExampleRow
from specrun.report.render import html
from specrun.report.run_view import run_view
from specrun.report.views import RunView
from tests.report.page_reader import Element, outline, parse
from tests.report.report_fakes import RUN_ID, FakeRecords, a_run, points

CANARY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"`{{7*7}}{%raw%}"
LINKS = ("src", "href", "xlink:href", "action", "formaction", "data", "poster", "srcset", "background", "cite", "ping", "manifest")


@pytest.fixture(scope="module")
def tree(good_page: str) -> Element:
    return parse(good_page)


def leaving(tree: Element) -> list[str]:
    """Addresses in a page that lead out of it."""
    found = [e.attributes[name] for e in tree.walk() for name in LINKS if name in e.attributes]
    sheets = [e.text for e in tree.all("style")] + [value for e in tree.walk() for value in e.attributes.values()]
    found += [address for sheet in sheets for address in re.findall(r"url\(\s*['\"]?([^)'\"]+)", sheet)]
    found += [text for text in sheets if "@import" in text]
    return [address for address in found if not address.startswith(("#", "data:"))]


def test_no_address_in_the_page_leads_out_of_it(tree: Element) -> None:
    assert leaving(tree) == []


@pytest.mark.parametrize(
    "stray",
    ["<img src='https://example.org/x.png'>", "<a href='report.md'>x</a>", "<style>p{background:url(//example.org/x)}</style>",
     "<style>@import 'x.css'</style>", "<rect fill='url(https://example.org/x)'></rect>"],
)  # fmt: skip
def test_the_check_for_addresses_finds_one_that_leads_out(good_page: str, stray: str) -> None:
    assert leaving(parse(good_page.replace("<main", f"{stray}<main", 1))) != []


def policy_of(tree: Element) -> dict[str, list[str]]:
    (meta,) = [e for e in tree.all("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    return {words[0]: words[1:] for words in (part.split() for part in meta.attributes["content"].split(";"))}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(tree: Element) -> None:
    (style,) = tree.all("style")
    (script,) = [e for e in tree.all("script") if e.attributes.get("type") != "application/json"]
    assert policy_of(tree) == {
        "default-src": ["'none'"], "style-src": [digest(style.text)], "script-src": [digest(script.text)], "img-src": ["data:"],
        "base-uri": ["'none'"], "form-action": ["'none'"],
    }  # fmt: skip


def test_a_changed_script_no_longer_matches_the_policy(good_page: str) -> None:
    changed = parse(good_page.replace('"use strict";', '"use strict"; alert(1);', 1))
    (script,) = [e for e in changed.all("script") if e.attributes.get("type") != "application/json"]
    assert policy_of(changed)["script-src"] != [digest(script.text)]


def test_the_page_has_no_inline_style_or_handler_that_the_policy_would_refuse(tree: Element) -> None:
    assert [e.tag for e in tree.walk() if "style" in e.attributes or any(name.startswith("on") for name in e.attributes)] == []


def test_ids_are_unique_and_every_reference_to_one_is_met(tree: Element) -> None:
    ids = Counter(e.attributes["id"] for e in tree.walk() if "id" in e.attributes)
    assert [name for name, n in ids.items() if n > 1] == []
    wanted = {e.attributes["href"][1:] for e in tree.all("a")}
    for name in ("aria-labelledby", "aria-describedby", "for", "data-copy"):
        wanted |= {word for e in tree.walk() for word in e.attributes.get(name, "").split()}
    assert wanted <= ids.keys()


def test_every_table_has_a_caption_and_headers_for_columns_and_rows(tree: Element) -> None:
    tables = tree.all("table")
    assert len(tables) > 10
    for table in tables:
        (head,), (body,) = table.all("thead"), table.all("tbody")
        assert table.all("caption")[0].text.strip()
        assert head.all("th")
        assert all(th.attributes["scope"] == "col" and th.text.strip() for th in head.all("th"))
        for row in body.all("tr"):
            assert [cell.attributes.get("scope") for cell in row.all("th")] == ["row"]
            assert len(row.all("th", "td")) == len(head.all("th"))


def test_every_drawing_is_named_and_described(tree: Element) -> None:
    drawings = [e for e in tree.all("svg") if e.attributes.get("aria-hidden") != "true"]
    assert len(drawings) == 11
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        texts = {e.attributes["id"]: e.text for e in drawing.all("title", "desc")}
        assert len(texts) == 2
        assert all(texts.values())
        assert drawing.attributes["aria-labelledby"].split() == list(texts)


def test_headings_go_down_one_level_at_a_time(tree: Element) -> None:
    levels = [int(e.tag[1]) for e in tree.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_what_scrolls_can_be_reached_by_the_keyboard(tree: Element) -> None:
    regions = [e for e in tree.walk() if "scroll" in e.attributes.get("class", "").split()]
    assert regions
    assert all(e.attributes.get("tabindex") == "0" and e.attributes.get("aria-label") for e in regions)


def test_controls_that_need_the_script_are_hidden_until_it_runs(tree: Element) -> None:
    assert all("hidden" in button.attributes for button in tree.all("button"))
    (search,) = [e for e in tree.all("input") if e.attributes.get("type") == "search"]
    assert any("hidden" in e.attributes and search in e.children for e in tree.all("label"))


def test_the_page_tells_the_whole_story_without_its_script(tree: Element, good_view: RunView) -> None:
    text = " ".join(tree.all("main")[0].text.split()) + tree.all("header")[0].text
    wanted = [*good_view.headline, good_view.evaluation.sentence if good_view.evaluation else "", good_view.command]
    wanted += [panel.title for panel in good_view.panels] + [row.path for row in good_view.spec] + [row.id for row in good_view.plan]
    wanted += [fact.value for fact in (*good_view.tiles, *good_view.what, *good_view.hardware, *good_view.environment)]
    assert [words for words in wanted if " ".join(words.split()) not in text] == []


def test_the_script_gets_the_values_as_data(tree: Element) -> None:
    (data,) = [e for e in tree.all("script") if e.attributes.get("type") == "application/json"]
    panels = json.loads(data.text)["panels"]
    names = ["loss", "perplexity", "accuracy", "learning-rate", "gradient-norm", "time", "machine-processor", "machine-memory"]
    assert list(panels) == sorted(names)
    assert panels["loss"]["curves"][1]["points"][0] == [100, pytest.approx(6.74984, rel=1e-4)]


def poisoned() -> RunView:
    """A run in which everything that others could write carries a script."""
    records, results = a_run()
    document: dict[str, Any] = json.loads(json.dumps(records.run_document))
    document["spec"]["description"] = document["spec"]["data"]["source"]["path"] = CANARY
    document["spec"][CANARY] = CANARY
    document["provenance"] = {"name": CANARY, CANARY: CANARY}
    document |= {"command": CANARY, "git": {"commit": CANARY, "dirty": True}, "python": CANARY, "packages": {CANARY: CANARY}}
    document["hardware"] |= {"name": CANARY, "reasons": [CANARY]}
    document["data"] = {"source": {CANARY: CANARY}, "splits": {CANARY: {}}, "leakage": {CANARY: 3}}
    assert records.ending is not None
    records.ending |= {"gates": [{"expression": CANARY, "passed": False, "value": None}], "status": "failed", "reason": CANARY}
    records.run_document = document
    records.row = replace(records.row, name=CANARY, run_id=CANARY, task=CANARY, tags=(CANARY,), started_at=CANARY)
    records.curves[CANARY] = points({1: 1.0})
    records.notes = [AlertRow(CANARY, CANARY, CANARY, CANARY, 3)]
    records.texts = [ExampleRow(1, "sample", {"prompt": CANARY, "text": CANARY + CANARY})]
    records.files = [ArtifactRow(CANARY, CANARY, CANARY, 1, CANARY)]
    records.plan = [replace(step, id=CANARY, reason=CANARY, key=CANARY, action=CANARY) for step in records.plan]
    return run_view(records, RUN_ID, results=results, title=CANARY)


def test_nothing_that_others_wrote_becomes_markup(good_page: str) -> None:
    clean, page = parse(good_page), html(poisoned())
    tree = parse(page)
    assert len(tree.all("script")) == len(clean.all("script")) == 2
    assert tree.all("img") == []
    assert not [e for e in tree.walk() if any(name.startswith("on") for name in e.attributes)]
    assert tree.all("h1")[0].text == CANARY
    assert tree.all("title")[0].text.startswith(CANARY)
    assert "{{7*7}}" in tree.text
    assert "49" not in tree.all("h1")[0].text
    assert page.count("alert(1)") > 20
    assert policy_of(tree) == policy_of(clean)


def test_the_canary_would_be_found_in_a_page_that_does_not_escape(good_page: str) -> None:
    with pytest.raises(AssertionError, match="closes"):
        parse(good_page.replace("<h1>", f"<h1>{CANARY}</b>", 1))
    assert len(parse(good_page.replace("<h1>", "<h1><script>alert(1)</script>", 1)).all("script")) == 3


def test_control_characters_and_lone_surrogates_are_shown_and_can_be_written() -> None:
    records, results = a_run()
    records.texts = [ExampleRow(1, "sample", {"prompt": "", "text": "a\x00b\ud800c\u202e"})]
    page = html(run_view(records, RUN_ID, results=results))
    assert page.encode()
    assert "a␀b�c⟨U+202E⟩" in page


def test_the_same_records_give_the_same_page(good_page: str) -> None:
    records, results = a_run()
    assert html(run_view(records, RUN_ID, results=results)) == good_page


def test_a_run_of_which_nothing_is_known_still_has_a_page() -> None:
    records, _ = a_run()
    empty = FakeRecords(records.row, {}, None, {})
    tree = parse(html(run_view(empty, RUN_ID)))
    assert tree.all("h1")[0].text == "gpt-wikitext"
    assert tree.all("svg") == []
    assert leaving(tree) == []


def test_the_outline_of_the_page_is_the_golden_one(tree: Element, golden: Callable[[str, str], None]) -> None:
    from specrun import __version__

    golden("report.outline.txt", "\n".join(outline(tree)).replace(f"specrun {__version__}", "specrun VERSION") + "\n")
