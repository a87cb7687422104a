"""The journal: what emit returned from is there to be read, in order, once."""

from __future__ import annotations

import errno
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from specrun.errors import StoreError
from specrun.events import (
    Alert,
    Artifact,
    Example,
    Heartbeat,
    Label,
    Message,
    Metrics,
    Progress,
    Span,
    Status,
    StepRecord,
    System,
)
from specrun.records.journal import Journal, journal_files, next_attempt, read_journal
from specrun.records.journal_reader import CORRUPT

EVENTS = [
    Status("running", "first", resumed_from=7),
    Metrics(1, {"train/loss": 2.5, "train/accuracy": 0.1}, epoch=0.5, tokens=640),
    Metrics(2, {"train/loss": math.inf}),
    System({"system/memory_bytes": 1.0}),
    Alert("warning", "slow-disk", "the disk is slow", step=3),
    Artifact("weights", "runs/a/w.safetensors", "ab" * 32, 12, "train"),
    Span("evaluation", "train", 1.25, step=4),
    StepRecord("train[seed=1]", "train", "k", "run", "new", {"seconds": 1.0}, {"seconds": 2.0, "disk_bytes": 3}),
    Heartbeat(),
    Example(4, "sample", {"prompt": "é\n", "text": "\ud800", "tokens": [1, 2]}),
    Label(name="new name", added=("a", "b"), removed=("c",), number=2),
]


def begin(folder: Path, **options: Any) -> Journal:
    return Journal.open(folder, run_id="r", attempt=next_attempt(folder), **{"heartbeat_seconds": 3600, **options})


def test_every_stored_event_is_read_back_equal_and_in_order(tmp_path: Path) -> None:
    with begin(tmp_path, clock=lambda: 1234.5) as journal:
        for event in EVENTS:
            journal.emit(event)
    records = list(read_journal(journal.path))
    assert [record.event() for record in records] == [None, *EVENTS]
    assert [record.number for record in records] == list(range(len(EVENTS) + 1))
    assert {record.time for record in records} == {1234.5}


def test_what_is_for_the_terminal_alone_is_not_stored(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        journal.emit(Progress("train", 1, 2, "step"))
        journal.emit(Message("hello"))
    assert [record.kind for record in read_journal(journal.path)] == ["journal"]


def test_a_nan_metric_is_kept_and_flagged(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        journal.emit(Metrics(1, {"train/loss": math.nan, "train/norm": 1.0}))
    *_, last = read_journal(journal.path)
    assert math.isnan(last.data["values"]["train/loss"])
    assert last.data["values"]["train/norm"] == 1.0
    assert '"non_finite":[[["values","train/loss"],"nan"]]' in journal.path.read_text(encoding="ascii")


def test_a_torn_tail_is_left_alone_and_read_once_it_is_whole(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        journal.emit(Metrics(1, {"a": 1.0}))
        journal.emit(Metrics(2, {"a": 2.0}))
    whole = journal.path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1])):
        journal.path.write_bytes(whole[:-cut])
        records = list(read_journal(journal.path))
        assert [record.kind for record in records] == ["journal", "metrics"]
    journal.path.write_bytes(whole)
    assert [record.data["step"] for record in read_journal(journal.path, records[-1].end)] == [2]


def test_a_damaged_line_in_the_middle_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        for step in range(3):
            journal.emit(Metrics(step, {"a": float(step)}))
    lines = journal.path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"step":1', b'"step":9')
    journal.path.write_bytes(b"".join(lines))
    records = list(read_journal(journal.path))
    assert [record.kind for record in records] == ["journal", "metrics", CORRUPT, "metrics"]
    assert records[2].event() is None


def test_zeroed_blocks_do_not_stop_the_reader(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        for step in range(20):
            journal.emit(Metrics(step, {"a": float(step)}))
    data = bytearray(journal.path.read_bytes())
    data[600:900] = bytes(300)
    journal.path.write_bytes(data)
    kinds = [record.kind for record in read_journal(journal.path)]
    assert CORRUPT in kinds
    assert kinds[-1] == "metrics"


def test_an_attempt_never_appends_to_an_older_file(tmp_path: Path) -> None:
    paths = set()
    for attempt in (1, 1, 2):
        with Journal.open(tmp_path, run_id="r", attempt=attempt, heartbeat_seconds=3600) as journal:
            paths.add(journal.path)
    assert len(paths) == 3
    assert [file.attempt for file in journal_files(tmp_path)] == [1, 1, 2]
    assert next_attempt(tmp_path) == 3


def test_labels_from_outside_are_no_attempt(tmp_path: Path) -> None:
    Journal.open(tmp_path, run_id="r", attempt=0).close()
    assert next_attempt(tmp_path) == 1


def test_a_journal_of_a_newer_version_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specrun.records.journal.FORMAT_VERSION", 99)
    begin(tmp_path).close()
    [file] = journal_files(tmp_path)
    with pytest.raises(StoreError, match="store-too-new") as caught:
        list(read_journal(file.path))
    assert "upgrade" in str(caught.value)


def test_the_heartbeat_is_written_while_training_is_silent(tmp_path: Path) -> None:
    beating = threading.Event()

    def clock() -> float:
        if threading.current_thread().name == "specrun-heartbeat":
            beating.set()
        return 0.0

    with begin(tmp_path, heartbeat_seconds=0.01, clock=clock) as journal:
        assert beating.wait(10)
    assert "heartbeat" in [record.kind for record in read_journal(journal.path)]


@pytest.mark.parametrize(
    ("event", "synced"),
    [
        (Metrics(1, {"a": 1.0}), False),
        (Span("data_wait", "train", 1.0), False),
        (Span("evaluation", "train", 1.0), True),
        (Span("checkpoint", "train", 1.0), False),
        (Span("checkpoint-write", "train", 1.0), True),
        (Status("completed"), True),
    ],
)
def test_evaluations_checkpoints_and_status_reach_the_disk_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: Any, synced: bool
) -> None:
    with begin(tmp_path) as journal:
        calls: list[int] = []
        monkeypatch.setattr("specrun.records.journal.os.fsync", calls.append)
        journal.emit(event)
        assert bool(calls) is synced


def test_a_full_disk_met_on_another_thread_is_told_to_the_one_that_opened_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            journal.emit(System({"system/cpu_percent": 1.0}))
        except StoreError as error:
            raised.append(error)

    with begin(tmp_path) as journal:
        with monkeypatch.context() as patched:
            patched.setattr("specrun.records.journal.os.write", full)
            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert (raised, journal.lost) == ([], 1)
            with pytest.raises(StoreError):
                journal.emit(Metrics(1, {"a": 1.0}))
        journal.emit(Metrics(2, {"a": 1.0}))
    assert [record.kind for record in read_journal(journal.path)] == ["journal", "alert", "metrics"]


def test_writers_on_several_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    with begin(tmp_path) as journal:
        threads = [threading.Thread(target=lambda n=n: [journal.emit(Metrics(i, {"a": float(n)})) for i in range(200)]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = list(read_journal(journal.path))
    assert [record.number for record in records] == list(range(801))
    assert {(r.data["step"], r.data["values"]["a"]) for r in records[1:]} == {(i, float(n)) for i in range(200) for n in range(4)}


class FullDisk:
    """os.write of a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.write = os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "no space")
        part = data[: self.room]
        self.room -= len(part)
        return self.write(descriptor, part)


def test_a_full_disk_raises_once_and_leaves_no_torn_record_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(tmp_path) as journal:
        journal.emit(Metrics(1, {"a": 1.0}))
        disk = FullDisk(room=20)
        monkeypatch.setattr("specrun.records.journal.os.write", disk)
        with pytest.raises(StoreError, match="disk-full") as caught:
            journal.emit(Metrics(2, {"a": 2.0}))
        assert "free some space" in str(caught.value)
        journal.emit(Metrics(3, {"a": 3.0}))
        assert journal.lost == 2
        disk.room = 10**6
        journal.emit(Status("interrupted", "disk full"))
        assert journal.lost == 0
    records = list(read_journal(journal.path))
    assert [record.kind for record in records] == ["journal", "metrics", "alert", "status"]
    assert records[2].data["message"].startswith("2 records could not be written")


def test_a_file_size_limit_of_the_system_is_told_once_as_what_it_is(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from specrun.errors import StoreError
from specrun.events import Metrics, Status
from specrun.records.journal import Journal
import resource
journal = Journal.open(Path({str(tmp_path)!r}), run_id="r", attempt=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
refused = 0
for step in range(500):
    try:
        journal.emit(Metrics(step, {{"a": 1.0}}))
    except StoreError as error:
        assert error.code == "file-too-large", error
        refused += 1
journal.close()
print(refused, journal.lost > 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]
    [file] = journal_files(tmp_path)
    assert all(record.kind != CORRUPT for record in read_journal(file.path))
    assert file.path.stat().st_size <= 4096
    assert resource.getrlimit(resource.RLIMIT_FSIZE) is not None


def test_a_read_only_folder_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr("specrun.records.journal.os.open", refuse)
    with pytest.raises(StoreError, match="store-not-writable"):
        begin(tmp_path)


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from specrun.events import Metrics
from specrun.records.journal import Journal
journal = Journal.open(Path({str(tmp_path)!r}), run_id="r", attempt=1)
for step in range(10**6):
    journal.emit(Metrics(step, {{"a": 1.0}}))
    os.write(1, b"%d\\n" % step)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 300:
            break
    writer.send_signal(signal.SIGKILL)
    last = int([line, *writer.stdout.readlines()][-1])
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    [file] = journal_files(tmp_path)
    steps = [record.data["step"] for record in read_journal(file.path) if record.kind == "metrics"]
    assert steps[: last + 1] == list(range(last + 1))


def test_the_journal_needs_the_standard_library_alone() -> None:
    heavy = ("duckdb", "numpy", "pyarrow", "torch", "pydantic")
    code = f"import sys, specrun.records.journal, specrun.records.run_files; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_check_on_imports_can_fail() -> None:
    code = "import sys, numpy; print([m for m in ('duckdb','numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "['numpy']"
