"""Every call to the file system may fail: for each N, the N-th failing one ends in one clear error and loses nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.events import Metrics, Span, Status
from specrun.records.changes import change_tags
from specrun.records.journal import Journal, read_journal
from specrun.records.journal_reader import CORRUPT
from specrun.records.queries import open_records
from specrun.records.run_files import mark_active, read_final, read_run, unmark_active, write_final, write_run
from specrun.records.store import merge

NewRun = Callable[..., Any]
CALLS = [(os, name) for name in ("open", "write", "fsync", "rename", "replace", "ftruncate")] + [(shutil, "copyfile")]


class Trap:
    """Lets calls through but the N-th. fired: whether there was an N-th."""

    def __init__(self, nth: int, number: int) -> None:
        self.nth, self.number, self.count, self.fired = nth, number, 0, False

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count == self.nth:
                self.fired = True
                raise OSError(self.number, os.strerror(self.number))
            return call(*arguments, **options)

        return guarded


@contextmanager
def failing(nth: int, number: int = errno.ENOSPC) -> Iterator[Trap]:
    """Within the block the N-th call to the file system fails."""
    trap = Trap(nth, number)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in CALLS:
            patch.setattr(module, name, trap.wrap(getattr(module, name)))
        yield trap


def each_failure(act: Callable[[], None], check: Callable[[bool], None], *, number: int = errno.ENOSPC) -> int:
    """Perform an act with its 1st, 2nd, ... call failing until none is left to fail; check(failed) after each."""
    for nth in range(1, 200):
        failed = False
        with failing(nth, number) as trap:
            try:
                act()
            except StoreError as error:
                failed = True
                told = str(error)
                assert "\n  " in told, told
        check(failed)
        if not trap.fired:
            return nth - 1
    raise AssertionError("the act never came to an end")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_a_document_is_the_old_one_or_the_new_one(tmp_path: Path, number: int) -> None:
    write_final(tmp_path, {"status": "old"})

    def check(failed: bool) -> None:
        final = read_final(tmp_path)
        assert final is not None
        assert final["status"] in ({"old", "new"} if failed else {"new"})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["final.json"]
        write_final(tmp_path, {"status": "old"})

    failures = each_failure(lambda: write_final(tmp_path, {"status": "new"}), check, number=number)
    assert failures >= 3


def test_a_journal_holds_what_was_acknowledged_and_no_torn_record(tmp_path: Path) -> None:
    acknowledged: list[int] = []

    def train() -> None:
        acknowledged.clear()
        for old in tmp_path.glob("events-*"):
            old.unlink()
        refused: StoreError | None = None
        with Journal.open(tmp_path, run_id="r", attempt=1, heartbeat_seconds=3600) as journal:
            for step in range(5):
                lost = journal.lost
                try:
                    journal.emit(Metrics(step, {"a": 1.0}))
                    journal.emit(Span("checkpoint", "train", 0.1, step))
                except StoreError as error:
                    assert refused is None, "it raised twice"
                    refused = error
                if journal.lost == lost == 0:
                    acknowledged.append(step)
            journal.emit(Status("interrupted" if refused else "completed"))
        if refused:
            raise refused

    def check(failed: bool) -> None:
        files = list(tmp_path.glob("events-*"))
        records = [record for file in files for record in read_journal(file)]
        assert CORRUPT not in {record.kind for record in records}
        assert set(acknowledged) <= {record.data["step"] for record in records if record.kind == "metrics"}
        if not failed:
            assert records[-1].data["status"] == "completed"

    assert each_failure(train, check) > 15


def test_a_run_begun_and_ended_with_a_failure_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "r"

    def life() -> None:
        folder.mkdir(parents=True)
        write_run(folder, {"format_version": 1, "name": "n"})
        mark_active(tmp_path, "r")
        write_final(folder, {"status": "completed"})
        try:
            unmark_active(tmp_path, "r")
        except OSError as error:
            raise StoreError(str(error), hint="as the engine says it") from error

    def check(failed: bool) -> None:
        assert read_run(folder) in ([None, {"format_version": 1, "name": "n"}] if failed else [{"format_version": 1, "name": "n"}])
        shutil.rmtree(folder)

    assert each_failure(life, check) > 5


def test_a_merge_leaves_a_readable_generation(store: Path, new_run: NewRun) -> None:
    run = new_run().log(1, train_loss=2.0)
    merge(store)

    def act() -> None:
        merge(store)

    def check(failed: bool) -> None:
        with open_records(store, merge_first=False) as records:
            expected = records.series("tiny-0001")["train/loss"]
        assert len(expected) == logged
        assert not list(store.glob(".store-*"))
        log_one()

    logged = 1

    def log_one() -> None:
        nonlocal logged
        logged += 1
        run.log(logged, train_loss=1.0)

    log_one()
    assert each_failure(act, check) > 4


def test_tags_are_given_or_an_error_says_why(store: Path, new_run: NewRun) -> None:
    new_run().end()

    def check(failed: bool) -> None:
        with open_records(store) as records:
            assert records.run("tiny-0001").tags in ([("first",), ("new",)] if failed else [("new",)])
        # The next act begins a file anew; a name that is taken costs it a further call.
        for path in store.glob("runs/tiny-0001/events-0-*"):
            path.unlink()

    def act() -> None:
        change_tags(store, "tiny-0001", add=["new"], remove=["first"])

    assert each_failure(act, check) > 3


def test_the_trap_can_fail(tmp_path: Path) -> None:
    with failing(1), pytest.raises(OSError, match="No space"):
        os.open(tmp_path / "x", os.O_CREAT)
