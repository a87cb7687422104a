"""The snapshot: an index that may be deleted, replaced in one step, and opened by every supported DuckDB."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.events import Metrics
from specrun.records import store as duck
from specrun.records.changes import remove_run
from specrun.records.queries import open_records
from specrun.records.run_files import mark_active
from specrun.records.snapshots import current, generation_of, merge_lock
from specrun.records.store import merge, rebuild

from .conftest import RunWriter
from .dumps import snapshot_dump, view_dump


def is_usable(store: Path) -> bool:
    snapshot = current(store)
    with duck.connect(store) as connection:
        return snapshot is not None and duck.open_snapshot(connection, snapshot)


NewRun = Callable[..., Any]


def test_the_snapshot_may_be_deleted_and_comes_back_equal(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0).log(2, train_loss=1.0).end(metrics={"test/loss": 1.5})
    assert merge(store)
    before = snapshot_dump(store)
    for path in (*store.glob("store-*"), store / "CURRENT"):
        path.unlink()
    with open_records(store) as records:
        assert [run.run_id for run in records.runs()] == ["tiny-0001"]
    assert snapshot_dump(store) == before


def test_a_merge_without_news_makes_no_new_generation(store: Path, new_run: NewRun) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)
    first = current(store)
    assert merge(store)
    assert current(store) == first
    run.log(2, train_loss=1.0)
    merge(store)
    assert generation_of(current(store)) == generation_of(first) + 1


def test_a_merge_reads_each_journal_from_where_it_stopped(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)
    offsets: list[int] = []
    from specrun.records import batch

    read = batch.read_journal
    monkeypatch.setattr(batch, "read_journal", lambda path, offset: offsets.append(offset) or read(path, offset))
    run.log(2, train_loss=1.0)
    merge(store)
    assert offsets
    assert min(offsets) > 0


def test_the_loser_of_the_lock_skips_at_once(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0)
    with merge_lock(store) as held:
        assert held
        assert not merge(store)
        with pytest.raises(StoreError, match="store-busy"):
            rebuild(store)
        with open_records(store) as records:
            assert records.series("tiny-0001")["train/loss"][0].value == 2.0


def test_a_removed_run_leaves_the_snapshot(store: Path, new_run: NewRun) -> None:
    new_run("keep").log(1, a=1.0).end()
    gone = new_run("gone").log(1, a=1.0).end()
    merge(store)
    shutil.rmtree(gone.folder)
    with open_records(store, merge_first=False) as records:
        assert [run.run_id for run in records.runs()] == ["keep"]
    merge(store)
    assert all("gone" not in row for rows in snapshot_dump(store).values() for row in rows)


def test_a_store_may_have_a_name_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RunWriter(Path("exp:1"), "r").begin().log(1, train_loss=1.0).end()
    with open_records("exp:1") as records:
        assert len(records.runs()) == 1
    assert current(Path("exp:1")) is not None


def test_what_overflows_memory_goes_into_the_store_and_is_gone_after(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    with duck.connect(store) as connection:
        connection.execute("SET memory_limit = '20MB'")
        connection.execute("CREATE TABLE much AS SELECT md5(i::VARCHAR) AS text FROM range(1_000_000) AS t(i)")
        made = set(tmp_path.rglob("*")) - before
        assert made
        assert {path.relative_to(store).parts[0].startswith(".spill-") for path in made} == {True}
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("same_file", [False, True])
@pytest.mark.parametrize("merge_first", [False, True])
def test_a_removed_runs_figures_do_not_come_back_in_a_new_run_of_its_id(
    store: Path, new_run: NewRun, *, merge_first: bool, same_file: bool
) -> None:
    first = new_run("r").log(1, train_loss=1.0).log(50, train_loss=0.1).end(metrics={"test/loss": 0.1})
    [old] = first.folder.glob("events-1-*")
    merge(store)
    remove_run(store, "r")
    second = new_run("r").log(1, train_loss=2.0).log(2, train_loss=2.0).log(3, train_loss=2.0).stop()
    [new] = second.folder.glob("events-1-*")
    # Process ids are given out again, in containers at once.
    new.rename(old if same_file else new.with_name("events-1-elsewhere-7.jsonl"))
    with open_records(store, merge_first=merge_first) as records:
        assert [point.step for point in records.series("r")["train/loss"]] == [1, 2, 3]
        assert "test/loss" not in records.run("r").metrics
    merge(store)
    merged = snapshot_dump(store)
    rebuild(store)
    assert snapshot_dump(store) == merged


def test_a_reader_keeps_its_generation_while_two_more_are_published(store: Path, new_run: NewRun) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)
    with open_records(store) as records:
        for step in (2, 3, 4):
            run.log(step, train_loss=1.0)
            merge(store)
        assert len(records.series("tiny-0001")["train/loss"]) == 1
    assert len(list(store.glob("store-*.duckdb"))) == 2


@pytest.mark.parametrize("damage", [b"", b"not a database", None])
def test_a_damaged_snapshot_is_made_anew_from_the_journals(store: Path, new_run: NewRun, damage: bytes | None) -> None:
    new_run().log(1, train_loss=2.0).end()
    merge(store)
    snapshot = current(store)
    assert snapshot is not None
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with open_records(store) as records:
        assert len(records.runs()) == 1
    assert merge(store)
    assert len(snapshot_dump(store)["runs"]) == 1


def test_a_snapshot_of_a_newer_version_is_refused_with_a_remedy(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    new_run().log(1, train_loss=2.0).end()
    with monkeypatch.context() as newer:
        newer.setattr(duck, "SCHEMA_VERSION", duck.SCHEMA_VERSION + 1)
        merge(store)
    for use in (merge, lambda folder: open_records(folder).__enter__()):
        with pytest.raises(StoreError, match="store-too-new") as caught:
            use(store)
        assert "pip install --upgrade" in str(caught.value)


def test_a_snapshot_of_an_older_version_is_rebuilt(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    new_run().log(1, train_loss=2.0).end()
    with monkeypatch.context() as older:
        older.setattr(duck, "SCHEMA_VERSION", 0)
        merge(store)
    assert len(view_dump(store, merge_first=True)["runs"]) == 1
    assert is_usable(store)


def test_the_file_is_of_the_oldest_supported_form(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0).end()
    merge(store)
    snapshot = current(store)
    assert snapshot is not None
    # DuckDB's storage form follows its magic word; 68 is what 1.5 writes and the newest that it reads.
    assert snapshot.read_bytes()[8:12] == b"DUCK"
    assert snapshot.read_bytes()[12] <= 68


def test_a_full_disk_during_a_merge_leaves_the_old_generation(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)
    before = current(store)
    run.log(2, train_loss=1.0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(duck.shutil, "copyfile", full)
    with pytest.raises(StoreError, match="disk-full"):
        merge(store)
    assert current(store) == before
    assert not list(store.glob(".store-*"))
    with open_records(store, merge_first=False) as records:
        assert len(records.series("tiny-0001")["train/loss"]) == 2


def test_a_snapshot_that_may_not_be_as_large_as_it_is_leaves_the_old_one_and_says_why(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(StoreError) as caught:
            merge(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = f"{store}: cannot be written: file too large, where files are bounded to 100,000 bytes"
    assert (caught.value.message, caught.value.hint) == (said, "lift the bound with: ulimit -f unlimited")
    assert current(store) is None
    merge(store)
    assert current(store) is not None


CRASH = """
import os, sys
from pathlib import Path
from specrun.records.store import merge
import pyarrow, numpy
store, k = sys.argv[1], int(sys.argv[2])
seen = 0
def hook(event, arguments):
    global seen
    writes = event == "open" and len(arguments) > 2 and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    changes = writes or event in ("os.rename", "os.remove", "shutil.copyfile")
    if changes and store in str(arguments[0]):
        seen += 1
        if seen == k:
            os._exit(9)
sys.addaudithook(hook)
merge(Path(store))
"""


def test_a_merge_killed_at_every_change_of_a_file_leaves_a_valid_generation(store: Path, new_run: NewRun) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)
    run.log(2, train_loss=1.0)
    for k in range(1, 60):
        done = subprocess.run([sys.executable, "-c", CRASH, str(store), str(k)], check=False, capture_output=True, text=True)
        snapshot = current(store)
        assert snapshot is not None, done.stderr
        assert is_usable(store)
        with open_records(store, merge_first=False) as records:
            assert [point.step for point in records.series("tiny-0001")["train/loss"]] == list(range(1, k + 2)), (k, done.stderr)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        run.log(k + 2, train_loss=1.0)
    assert done.returncode == 0
    assert k > 4
    assert not list(store.glob(".store-*"))


@pytest.mark.slow
def test_a_merge_killed_at_random_moments_leaves_a_valid_generation(store: Path, new_run: NewRun) -> None:
    rng = random.Random(0)
    run = new_run()
    step = 0
    for _ in range(40):
        for _ in range(500):
            step += 1
            run.emit(Metrics(step, {"train/loss": 1.0}))
        merger = subprocess.Popen([sys.executable, "-m", "specrun.records.store", "merge", str(store)])
        time.sleep(rng.uniform(0.25, 0.9))
        merger.send_signal(signal.SIGKILL)
        merger.wait()
        with open_records(store, merge_first=False) as records:
            assert len(records.series("tiny-0001")["train/loss"]) == step
    merge(store)
    merged = snapshot_dump(store)
    rebuild(store)
    assert snapshot_dump(store) == merged


def test_the_module_merges_from_a_process_of_its_own(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0).end()
    command = [sys.executable, "-m", "specrun.records.store"]
    assert subprocess.run([*command, "merge", str(store)], check=False).returncode == 0
    assert generation_of(current(store)) == 1
    lost = subprocess.run([*command, "merge", str(store / "nowhere")], check=False, capture_output=True, text=True)
    assert lost.returncode == 1
    assert lost.stderr.startswith("no-store")
    assert subprocess.run([*command, "burn", str(store)], check=False, capture_output=True).returncode == 2


def test_a_read_only_store_is_still_read(store: Path, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    new_run().log(1, train_loss=2.0).end()
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "denied")
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr("specrun.records.snapshots.os.open", refuse)
    with open_records(store) as records:
        assert records.runs()[0].status == "completed"
    assert current(store) is None


def test_a_marker_of_a_run_without_a_folder_disturbs_nobody(store: Path, new_run: NewRun) -> None:
    new_run().log(1, train_loss=2.0).end()
    mark_active(store, "ghost")
    with open_records(store) as records:
        assert len(records.runs()) == 1


def test_a_read_only_store_is_not_taken_for_a_busy_one(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: Any, *arguments: Any, **named: Any) -> int:
        if str(path).endswith("merge.lock"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", refuse)
    for writable, code in ((False, "store-not-writable"), (True, "store-busy")):
        monkeypatch.setattr(os, "access", lambda *_, writable=writable: writable)
        with pytest.raises(StoreError) as caught:
            rebuild(store)
        assert caught.value.code == code
