"""The files of the snapshot: one current generation, one merger, markers that are never removed too early."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.records.news import find_news
from specrun.records.queries import open_records
from specrun.records.run_files import mark_active, unmark_active
from specrun.records.snapshots import current, generation_of, list_runs, merge_lock, publish, remove_markers, scratch_file
from specrun.records.store import connect, merge, open_snapshot

NewRun = Callable[..., Any]


def make_generation(store: Path, content: bytes) -> Path:
    scratch = scratch_file(store)
    scratch.write_bytes(content)
    return publish(store, scratch)


def test_a_published_file_is_current_and_the_one_before_it_stays(store: Path) -> None:
    paths = [make_generation(store, bytes([number])) for number in range(4)]
    assert current(store) == paths[-1]
    assert [generation_of(path) for path in paths] == [1, 2, 3, 4]
    assert [path.exists() for path in paths] == [False, False, True, True]


def test_a_generation_number_is_never_used_twice(store: Path) -> None:
    make_generation(store, b"a")
    (store / "CURRENT").unlink()
    assert generation_of(make_generation(store, b"b")) == 2


@pytest.mark.parametrize("content", ["", "../outside.duckdb", "store-1.duckdb", "store-000009.duckdb", "store-000001.duckdb/.."])
def test_a_pointer_to_anything_else_is_no_snapshot(store: Path, content: str) -> None:
    (store.parent / "outside.duckdb").write_bytes(b"")
    make_generation(store, b"a")
    (store / "CURRENT").write_text(content, encoding="utf-8")
    assert current(store) is None
    assert generation_of(current(store)) == 0


def test_what_a_killed_merge_left_is_removed_by_the_next(store: Path) -> None:
    (store / ".store-1.duckdb").write_bytes(b"junk")
    (store / ".store-1.duckdb.wal").write_bytes(b"junk")
    scratch = scratch_file(store)
    assert not list(store.glob(".store-*"))
    assert scratch.parent == store


def test_the_lock_of_a_dead_process_is_free(store: Path) -> None:
    code = f"""
import os
from pathlib import Path
from specrun.records.snapshots import merge_lock
with merge_lock(Path({str(store)!r})) as held:
    assert held
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    with merge_lock(store) as held:
        assert held


def test_the_lock_is_held_by_one_process_at_a_time(store: Path) -> None:
    code = f"from pathlib import Path; from specrun.records.store import merge; print(merge(Path({str(store)!r})))"
    with merge_lock(store):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == "False"


def test_no_store_has_no_lock(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no-store"), merge_lock(tmp_path / "absent"):
        pass
    assert not (tmp_path / "absent").exists()


def test_a_run_that_ends_twice_has_two_markers_and_each_is_removed_by_its_name(store: Path) -> None:
    for _ in range(2):
        mark_active(store, "r")
        unmark_active(store, "r")
    listing = list_runs(store)
    assert len(listing.markers) == 2
    mark_active(store, "r")
    remove_markers(store, listing.markers)
    assert list_runs(store).active == {"r"}
    assert list_runs(store).markers == ()


def test_what_happens_during_a_merge_is_news_to_the_next(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run("r").log(1, a=1.0)
    from specrun.records import store as module

    published = module.publish

    def end_the_run_meanwhile(folder: Path, scratch: Path) -> Path:
        run.log(2, a=1.0).end()
        return published(folder, scratch)

    with monkeypatch.context() as patch:
        patch.setattr(module, "publish", end_the_run_meanwhile)
        merge(store)
    assert len(list_runs(store).markers) == 1
    merge(store)
    assert list_runs(store).markers == ()
    for path in store.glob("active/*"):
        path.unlink()
    with open_records(store, merge_first=False) as records:
        assert records.run("r").status == "completed"
        assert len(records.series("r")["a"]) == 2


def news_of(store: Path) -> tuple[set[str], set[str], int]:
    snapshot = current(store)
    assert snapshot is not None
    with connect(store) as connection:
        assert open_snapshot(connection, snapshot)
        news = find_news(connection, store, list_runs(store))
    return set(news.touched), set(news.gone), news.unread_bytes


def test_news_are_new_runs_grown_journals_and_endings_and_nothing_else(store: Path, new_run: NewRun) -> None:
    quiet, grown = new_run("quiet"), new_run("grown")
    new_run("done").end()
    merge(store)
    assert news_of(store) == (set(), set(), 0)
    grown.log(1, a=1.0)
    touched, gone, unread = news_of(store)
    assert (touched, gone) == ({"grown"}, set())
    assert unread > 0
    merge(store)
    new_run("new")
    quiet.end()
    assert news_of(store)[0] == {"new", "quiet"}


def test_a_torn_tail_is_no_news_the_second_time(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    path = run.journal.path
    run.stop()
    with open(path, "ab") as file:
        file.write(b'{"n":5')
    merge(store)
    assert news_of(store) == (set(), set(), 0)
    with open(path, "ab") as file:
        file.write(b',"ti')
    assert news_of(store)[0] == {"r"}


def merge_again_and_again(store: str, seconds: float) -> None:
    """Publish generations as fast as they can be made."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mark_active(Path(store), "r")
        unmark_active(Path(store), "r")
        merge(Path(store))


def test_a_reader_never_fails_while_generations_are_replaced(store: Path, new_run: NewRun) -> None:
    new_run("r").log(1, a=1.0).end()
    merge(store)
    process = multiprocessing.get_context("spawn").Process(target=merge_again_and_again, args=(str(store), 2.0))
    process.start()
    reads = 0
    while process.is_alive():
        with open_records(store, merge_first=False) as records:
            assert len(records.series("r")["a"]) == 1
        reads += 1
    process.join()
    assert process.exitcode == 0
    assert generation_of(current(store)) > 2
    assert reads > 2
