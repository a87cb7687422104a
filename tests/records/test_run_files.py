"""The small files of a run, and which runs live."""

from __future__ import annotations

import json
import math
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StorageFailure, StoreError
from specrun.records.atomic import atomic_write, storage_failure
from specrun.records.journal import Journal
from specrun.records.process import process_is_alive, same_machine, this_process
from specrun.records.run_files import (
    is_alive,
    mark_active,
    read_final,
    read_run,
    run_folder,
    unmark_active,
    write_final,
    write_run,
)

NewRun = Callable[..., Any]


def test_an_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic_write(path, "old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_written_file_has_the_modes_that_open_would_give(tmp_path: Path) -> None:
    atomic_write(tmp_path / "ours", "x")
    (tmp_path / "plain").write_text("x", encoding="utf-8")
    assert stat.S_IMODE((tmp_path / "ours").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("call", ["fsync", "fchmod"])
@pytest.mark.parametrize(("number", "code"), [(28, "disk-full"), (27, "file-too-large"), (30, "store-not-writable"), (5, "store-failed")])
def test_a_refused_write_leaves_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, code: str
) -> None:
    path = tmp_path / "a.json"
    atomic_write(path, "old")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"specrun.records.atomic.os.{call}", refuse)
    with pytest.raises(StoreError, match=code) as caught:
        atomic_write(path, "new")
    assert caught.value.hint
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_file_beyond_the_bound_of_the_process_is_told_the_bound_and_how_to_lift_it(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StorageFailure) as caught:
            atomic_write(tmp_path / "a.json", "x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.message == f"{tmp_path}/a.json: cannot be written: file too large, where files are bounded to 4,096 bytes"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("lift the bound with: ulimit -f unlimited, or ")
    unbounded = storage_failure(tmp_path, OSError(27, "File too large"))
    assert unbounded.message == f"{tmp_path}: cannot be written: file too large"


def test_a_run_is_described_once(tmp_path: Path) -> None:
    write_run(tmp_path, {"run_id": "a"})
    with pytest.raises(StoreError, match="run-exists"):
        write_run(tmp_path, {"run_id": "b"})
    assert read_run(tmp_path) == {"run_id": "a"}


def test_documents_are_strict_json_and_give_back_non_finite_numbers(tmp_path: Path) -> None:
    write_final(tmp_path, {"status": "failed", "metrics": {"train/loss": math.nan}})
    text = (tmp_path / "final.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["metrics"]["train/loss"] is None
    final = read_final(tmp_path)
    assert final is not None
    assert math.isnan(final["metrics"]["train/loss"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_damaged_document_is_an_error_with_its_place(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(StoreError, match="damaged-record") as caught:
        read_run(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value)


def test_an_ending_counts_until_a_later_attempt_begins(tmp_path: Path) -> None:
    Journal.open(tmp_path, run_id="r", attempt=1).close()
    write_final(tmp_path, {"status": "interrupted"})
    assert read_final(tmp_path) == {"attempt": 1, "status": "interrupted"}
    Journal.open(tmp_path, run_id="r", attempt=0).close()
    assert read_final(tmp_path) is not None
    Journal.open(tmp_path, run_id="r", attempt=2).close()
    assert read_final(tmp_path) is None


def test_a_run_lives_from_mark_to_unmark(store: Path, new_run: NewRun) -> None:
    new_run("r")
    assert is_alive(store, "r")
    unmark_active(store, "r")
    assert not is_alive(store, "r")
    unmark_active(store, "r")
    assert [path.name.partition("~")[0] for path in (store / "active").iterdir()] == ["r"]


def marked(store: Path, **changes: Any) -> str:
    mark_active(store, "r")
    marker = store / "active" / "r"
    marker.write_text(json.dumps({**json.loads(marker.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return "r"


def test_a_dead_process_is_not_alive(store: Path, new_run: NewRun) -> None:
    new_run("r")
    code = f"from pathlib import Path; from specrun.records.run_files import mark_active; mark_active(Path({str(store)!r}), 'r')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not is_alive(store, "r")


def test_another_process_under_the_same_id_is_not_alive(store: Path, new_run: NewRun) -> None:
    new_run("r")
    assert is_alive(store, marked(store))
    assert not is_alive(store, marked(store, process_start=1))


def test_a_process_that_ended_and_waits_for_its_parent_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    identity = {**this_process(), "pid": child.pid, "process_start": None}
    deadline = time.monotonic() + 20
    while process_is_alive({**identity, "process_start": None}) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process_is_alive(identity)
    child.wait()


@pytest.mark.parametrize("elsewhere", [{"host": "other"}, {"boot": "earlier"}, {"namespace": "pid:[1]"}])
def test_a_process_elsewhere_lives_as_long_as_its_journal_grows(store: Path, new_run: NewRun, elsewhere: dict[str, str]) -> None:
    run = new_run("r")
    marked(store, **elsewhere)
    assert is_alive(store, "r")
    old = time.time() - 3600
    os.utime(run.journal.path, (old, old))
    assert not is_alive(store, "r")


def test_an_unreadable_marker_falls_back_to_the_heartbeat(store: Path, new_run: NewRun) -> None:
    run = new_run("r")
    (store / "active" / "r").write_text("", encoding="utf-8")
    assert is_alive(store, "r")
    old = time.time() - 3600
    os.utime(run.journal.path, (old, old))
    assert not is_alive(store, "r")


def test_this_process_knows_itself() -> None:
    assert same_machine(this_process())
    assert process_is_alive(this_process())
    assert not process_is_alive({**this_process(), "pid": -1})
    assert not process_is_alive({"pid": "x"})


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "active").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreError, match="active"):
        mark_active(tmp_path, "r")
    assert run_folder(tmp_path, "r") == tmp_path / "runs" / "r"
