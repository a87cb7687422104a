"""Owns a run's journal, the truth of the records: one file an attempt, one writer, one line a record. Standard library only.

What `emit` returned from survives a SIGKILL: each record is one unbuffered write(2) on an O_APPEND descriptor. A thread writes
a heartbeat and calls fsync every few seconds; evaluations, checkpoints and changes of status are synced at once. Reading is in
`journal_reader`, liveness in `run_files`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from specrun.errors import StoreError
from specrun.events import Alert, Event, Heartbeat, Metrics, Span, Status, Stored
from specrun.records.atomic import storage_failure, sync_folder
from specrun.records.encoding import KIND_OF, encode_event
from specrun.records.journal_reader import Record, journal_files, next_attempt, read_journal
from specrun.records.lines import encode_line
from specrun.records.process import host_name, this_process

__all__ = ["FORMAT_VERSION", "Journal", "Record", "journal_files", "next_attempt", "read_journal"]

FORMAT_VERSION = 1
HEARTBEAT_SECONDS = 5.0
SYNCED_SPANS = {"evaluation", "checkpoint-write"}


class Journal:
    """Appends events to one file (a `Recorder`). Safe to call from several threads of the process that opened it."""

    def __init__(self, path: Path, descriptor: int, *, clock: Callable[[], float], heartbeat_seconds: float) -> None:
        self.path = path
        self.lost = 0
        self._descriptor = descriptor
        self._clock = clock
        self._next = 0
        self._size = 0
        self._told = False
        self._failure: StoreError | None = None
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._owner = threading.current_thread()
        self._beat = threading.Thread(target=self._keep_alive, args=(heartbeat_seconds,), name="specrun-heartbeat", daemon=True)

    @classmethod
    def open(
        cls,
        run_folder: Path,
        *,
        run_id: str,
        attempt: int,
        clock: Callable[[], float] = time.time,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> Self:
        """Begin a new file `events-<attempt>-<host>-<pid>.jsonl`; attempt 0 holds labels given to a run from outside.

        Raises StoreError when the folder cannot be written.
        """
        path, descriptor = _create(run_folder, attempt)
        journal = cls(path, descriptor, clock=clock, heartbeat_seconds=heartbeat_seconds)
        header = {"format_version": FORMAT_VERSION, "run_id": run_id, "attempt": attempt, **this_process()}
        try:
            journal._write("journal", header)
        except StoreError:
            os.close(descriptor)
            raise
        sync_folder(run_folder)
        journal._beat.start()
        return journal

    def emit(self, event: Event) -> None:
        """Append a record; what this returned from survives a kill. `Progress` and `Message` are not stored.

        Raises StoreError once when the disk refuses, on the thread that opened the journal: others cannot end a run. After that,
        records that cannot be written are counted in `lost`, and an alert says how many as soon as a write succeeds again, so that
        a run can still end cleanly.
        """
        kind = KIND_OF.get(type(event))
        if kind is None:
            return
        stored: Stored = event  # type: ignore[assignment]  # KIND_OF holds exactly the stored kinds
        self._write(kind, encode_event(stored))
        if type(event) is not Metrics and _is_synced(stored):
            self.sync()

    def sync(self) -> None:
        """Bring what was written to the disk itself."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._refused(error)

    def close(self) -> None:
        """Stop the heartbeat, sync and close; a second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        if self._beat.is_alive():
            self._beat.join()
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        with self._lock:
            if self.lost:
                self._tell_losses()
            line = encode_line({"n": self._next, "time": self._clock(), "kind": kind, **fields})
            try:
                self._append(line)
            except OSError as error:
                self.lost += 1
                self._refused(error)

    def _append(self, line: bytes) -> None:
        written = os.write(self._descriptor, line)
        if written != len(line):
            self._append_rest(line[written:])
        self._size += len(line)
        self._next += 1

    def _append_rest(self, rest: bytes) -> None:
        """Finish a record that the disk took only in part, or take the part back: no later record may follow a torn one."""
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise

    def _tell_losses(self) -> None:
        message = f"{self.lost} records could not be written to {self.path.name}"
        alert = Alert("warning", "records-lost", message)
        with contextlib.suppress(OSError):
            self._append(encode_line({"n": self._next, "time": self._clock(), "kind": "alert", **encode_event(alert)}))
            self.lost = 0

    def _refused(self, error: OSError) -> None:
        """Raise the first failure, on the owner's thread; one of another thread waits for the owner's next emit."""
        if self._failure is None:
            self._failure = storage_failure(self.path, error)
        if not self._told and threading.current_thread() is self._owner:
            self._told = True
            raise self._failure from error

    def _keep_alive(self, seconds: float) -> None:
        while not self._closing.wait(seconds):
            self.emit(Heartbeat())
            self.sync()


def _create(run_folder: Path, attempt: int) -> tuple[Path, int]:
    """A file that did not exist: one that a killed process of the same id left behind is never appended to."""
    host = re.sub(r"[^A-Za-z0-9._]", "_", host_name()) or "host"
    for again in itertools.count():
        suffix = f".{again}" if again else ""
        path = run_folder / f"events-{attempt}-{host}{suffix}-{os.getpid()}.jsonl"
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            raise storage_failure(path, error) from error
    raise AssertionError


def _is_synced(event: Stored) -> bool:
    return isinstance(event, Status) or (isinstance(event, Span) and event.name in SYNCED_SPANS)
