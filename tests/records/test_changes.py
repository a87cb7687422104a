"""Tags and removal: what changes a recorded run from outside, and what it must never touch."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import StoreError, UsageError
from specrun.records import labels
from specrun.records.changes import change_tags, remove_run
from specrun.records.labels import give
from specrun.records.paths import safe_join
from specrun.records.queries import open_records
from specrun.records.store import merge

from .conftest import RunWriter

NewRun = Callable[..., Any]


def tags_of(store: Path) -> tuple[str, ...]:
    with open_records(store) as records:
        return records.run("r").tags


def test_tags_are_changed_while_the_run_lives_and_nothing_else_is(store: Path, new_run: NewRun) -> None:
    run = new_run("r").log(1, a=1.0)
    change_tags(store, "r", add=["b", "a", "a"], remove=["first"])
    run.log(2, a=2.0)
    with open_records(store) as records:
        assert records.run("r").tags == ("a", "b")
        assert records.run("r").attempts == 1
        assert records.run("r").status == "running"


def test_the_last_word_on_a_tag_counts(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    for change in ({"add": ["a"]}, {"remove": ["a", "first"]}, {"add": ["b"]}, {"add": ["a"]}):
        change_tags(store, "r", **change)
        merge(store)
    assert tags_of(store) == ("a", "b")


def test_tags_given_at_once_are_all_kept(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    tags = [f"t{number}" for number in range(6)]
    with ThreadPoolExecutor(len(tags)) as pool:
        list(pool.map(lambda tag: change_tags(store, "r", add=[tag]), tags))
    assert tags_of(store) == ("first", *tags)


def test_a_clock_set_back_changes_no_order(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    now = time.time()
    give(store, "r", name="earlier", add=["a"], clock=lambda: now)
    give(store, "r", name="later", remove=["a", "first"], clock=lambda: now - 3600)
    with open_records(store) as records:
        assert (records.run("r").name, records.run("r").tags) == ("later", ())


CHANGES = st.tuples(st.lists(st.sampled_from("abc"), max_size=2), st.lists(st.sampled_from("abc"), max_size=2), st.integers(0, 2))


@settings(max_examples=5)
@given(st.lists(CHANGES, min_size=1, max_size=4))
def test_the_tables_and_the_journals_tell_of_the_same_labels(changes: list[tuple[list[str], list[str], int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = RunWriter(Path(folder), "r").begin(tags=["a"]).end()
        for add, remove, moment in changes:
            give(Path(folder), "r", name=f"n{moment}", add=add, remove=set(remove) - set(add), clock=lambda moment=moment: 1e9 + moment)
        told = labels.given(run.folder)
        with open_records(folder) as records:
            found = records.run("r")
        assert found.name == told.name
        assert found.tags == tuple(sorted(tag for tag, has in {"a": True, **told.tags}.items() if has))


@pytest.mark.parametrize("tag", ["", "  ", "a\nb", "\x1b[31m", "x" * 101])
def test_a_tag_is_short_and_printable(store: Path, new_run: NewRun, tag: str) -> None:
    new_run("r")
    with pytest.raises(UsageError, match="bad-tag"):
        change_tags(store, "r", add=[tag])


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


def test_what_a_killed_removal_left_hinders_no_removal_and_goes_with_it(store: Path, new_run: NewRun) -> None:
    new_run("r").end()
    left = store / "runs" / ".removing-r"
    left.mkdir()
    (left / "file").touch()
    remove_run(store, "r")
    assert list((store / "runs").iterdir()) == []


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
