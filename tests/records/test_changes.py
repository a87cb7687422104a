"""Tags and removal: what changes a recorded run from outside, and what it must never touch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import StoreError, UsageError
from specrun.records.changes import remove_run, set_tags
from specrun.records.paths import safe_join
from specrun.records.queries import open_records
from specrun.records.store import merge

NewRun = Callable[..., Any]


def test_tags_are_set_while_the_run_lives_and_change_nothing_else(store: Path, new_run: NewRun) -> None:
    run = new_run("r").log(1, a=1.0)
    assert set_tags(store, "r", ["b", "a", "a"]) == ("a", "b")
    run.log(2, a=2.0)
    with open_records(store) as records:
        assert records.run("r").tags == ("a", "b")
        assert records.run("r").attempts == 1
        assert records.run("r").status == "running"


def test_the_last_tags_given_count(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    for tags in (["a"], [], ["b"]):
        set_tags(store, "r", tags)
        merge(store)
    with open_records(store) as records:
        assert records.run("r").tags == ("b",)


@pytest.mark.parametrize("tag", ["", "  ", "a\nb", "\x1b[31m", "x" * 101])
def test_a_tag_is_short_and_printable(store: Path, new_run: NewRun, tag: str) -> None:
    new_run("r")
    with pytest.raises(UsageError, match="bad-tag"):
        set_tags(store, "r", [tag])


def test_a_removed_run_is_gone_with_its_markers_and_nothing_else_is(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    new_run("r2").end()
    remove_run(store, "r")
    with open_records(store) as records:
        assert [run.run_id for run in records.runs()] == ["r2"]
    assert sorted(path.name for path in (store / "runs").iterdir()) == ["r2"]


def test_a_living_run_is_not_removed(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    with pytest.raises(StoreError, match="run-is-alive"):
        remove_run(store, "r")
    assert run.folder.is_dir()


def test_no_link_is_followed(store: Path, new_run: NewRun, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x", encoding="utf-8")
    run = new_run("r").end()
    (run.folder / "link").symlink_to(outside)
    (store / "runs" / "linked").symlink_to(outside)
    with pytest.raises(StoreError, match="unsafe-path"):
        remove_run(store, "linked")
    remove_run(store, "r")
    assert (outside / "precious").exists()


@pytest.mark.parametrize("name", ["..", ".", "", "../r", "a/b", "/etc", "a\\b", "a\0b", "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(store: Path, name: str) -> None:
    with pytest.raises(StoreError, match="unsafe-path"):
        safe_join(store, "runs", name)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=3))
def test_a_joined_path_is_always_inside(names: list[str]) -> None:
    folder = Path("/store/runs")
    with contextlib.suppress(StoreError):
        path = safe_join(folder, *names)
        assert path.is_relative_to(folder)
        assert len(path.parts) == len(folder.parts) + len(names)
