"""Documents are written whole, the same for the same records, and Markdown tells what HTML tells."""

from __future__ import annotations

import errno
import os
import re
import stat
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from specrun.errors import SpecrunError, StoreError
from specrun.report import render as rendering
from specrun.report.render import remove_others, render, text
from specrun.report.run_view import run_view
from specrun.report.views import RunView
from tests.report.report_fakes import RUN_ID, a_run
from tests.report.test_page import CANARY, poisoned


@pytest.fixture
def short_view(good_view: RunView) -> RunView:
    """The same with two panels: drawing takes the most time."""
    return replace(good_view, panels=good_view.panels[:2], machine=())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_view_gives_the_same_bytes(short_view: RunView, tmp_path: Path) -> None:
    for name in ("a", "b"):
        render(short_view, ("html", "md"), tmp_path / name)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_each_format_is_written_where_it_says(good_view: RunView, tmp_path: Path) -> None:
    assert render(good_view, ("md",), tmp_path) == {"md": tmp_path / "report.md"}
    names = ("accuracy", "gradient-norm", "learning-rate", "loss", "machine-memory", "machine-processor", "perplexity", "time")
    charts = [f"charts/{name}.svg" for name in names]
    assert list(contents(tmp_path)) == [*charts, "report.md"]


def test_formats_no_longer_asked_for_are_removed_and_nothing_else(short_view: RunView, tmp_path: Path) -> None:
    render(short_view, ("html", "md"), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    remove_others(("html",), tmp_path)
    assert list(contents(tmp_path)) == ["notes.txt", "report.html"]
    remove_others(("html",), tmp_path)
    assert list(contents(tmp_path)) == ["notes.txt", "report.html"]


def test_an_unknown_format_is_named_with_those_that_exist(good_view: RunView, tmp_path: Path) -> None:
    with pytest.raises(SpecrunError, match="odt is not a format") as caught:
        render(good_view, ("odt",), tmp_path)
    assert caught.value.hint == "formats are html, md"


def test_a_folder_that_cannot_be_made_is_one_clear_error(good_view: RunView, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        render(good_view, ("html",), tmp_path / "file" / "report")


def test_a_failed_write_leaves_the_earlier_report_whole(short_view: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render(short_view, ("html",), tmp_path)
    before = contents(tmp_path)

    def full(path: Path, content: str) -> None:
        raise StoreError("disk full", code="disk-full")

    monkeypatch.setattr(rendering, "atomic_write", full)
    with pytest.raises(StoreError):
        render(replace(short_view, title="another"), ("html", "md"), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(1, 5))
def test_a_full_disk_leaves_every_document_whole_at_whichever_write_it_strikes(
    short_view: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    renamed = replace(short_view, title="another")
    for name, view in (("old", short_view), ("new", renamed)):
        render(view, ("html", "md"), tmp_path / name)
    old, new = contents(tmp_path / "old"), contents(tmp_path / "new")
    written = 0

    def sync(descriptor: int) -> None:
        nonlocal written
        # Folders are synced too, which a full disk does not hinder.
        written += stat.S_ISREG(os.fstat(descriptor).st_mode)
        if written == nth and stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(StoreError) as caught:
        render(renamed, ("html", "md"), tmp_path / "old")
    assert caught.value.code == "disk-full"
    found = contents(tmp_path / "old")
    assert found.keys() == old.keys()
    assert all(found[name] in (old[name], new[name]) for name in found)


def test_what_may_not_be_removed_is_one_clear_error(short_view: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render(short_view, ("html", "md"), tmp_path)

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError):
        remove_others(("html",), tmp_path)


def test_every_link_of_the_markdown_report_leads_to_a_drawing_beside_it(good_view: RunView, tmp_path: Path) -> None:
    path = render(good_view, ("md",), tmp_path)["md"]
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", path.read_text())
    assert len(links) == 8
    for link in links:
        drawing = ET.fromstring((tmp_path / link).read_text())
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_panel_without_values_has_no_drawing_but_its_reason(tmp_path: Path) -> None:
    records, results = a_run()
    del records.curves["validation/accuracy"]
    path = render(run_view(records, RUN_ID, results=results), ("md",), tmp_path)["md"]
    assert "train/accuracy and validation/accuracy were not recorded in this run." in path.read_text()
    assert not (tmp_path / "charts" / "accuracy.svg").exists()


def test_markdown_tells_what_the_page_tells(good_text: str, good_view: RunView) -> None:
    plain = good_text.replace("\\", "")
    assert good_view.evaluation is not None
    wanted = [*good_view.headline, good_view.evaluation.sentence, good_view.command, *good_view.reasons, *good_view.evaluation.formulas]
    wanted += [row.path for row in good_view.spec] + [row.origin for row in good_view.spec] + [row.actual_time for row in good_view.plan]
    wanted += [fact.value for fact in (*good_view.tiles, *good_view.what, *good_view.data, *good_view.hardware, *good_view.environment)]
    wanted += [sample.text.strip() for sample in good_view.samples] + [gate.expression for gate in good_view.gates]
    assert [words for words in wanted if words.replace("&", "&amp;").replace("<", "&lt;") not in plain and words not in plain] == []


def test_nothing_that_others_wrote_becomes_markup_in_markdown() -> None:
    written = text(poisoned())
    outside = re.sub(r"(?ms)^(`{3,})[^\n]*\n.*?^\1$", "", written)
    outside = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", outside)
    assert "<script" not in outside
    assert "<img" not in outside
    assert CANARY not in outside
    assert "&lt;script>" in outside


def test_markdown_tables_are_whole(good_text: str) -> None:
    tables = re.findall(r"(?m)(?:^\|.*\|$\n?)+", good_text)
    assert len(tables) == 7
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_markdown_has_no_stretch_of_empty_lines(good_text: str) -> None:
    assert "\n\n\n" not in good_text
    assert good_text.endswith("\n")
    assert not good_text.endswith("\n\n")


def test_the_markdown_report_is_the_golden_one(good_text: str, golden: Callable[[str, str], None]) -> None:
    golden("report.md", good_text)
