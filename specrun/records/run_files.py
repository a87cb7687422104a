"""Owns the small files of a run: run.json, final.json and the marker in `active/`; and whether its process lives. Standard library only.

`active/<run_id>` exists while a run's process works. `active/<run_id>~<unique>` says that a run has records which the
snapshot may not hold yet; the merge that has read them removes exactly that file, so that nothing written meanwhile is missed.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.errors import StoreError
from specrun.records.atomic import atomic_write, storage_failure
from specrun.records.documents import encode_document, read_document
from specrun.records.journal_reader import journal_files, next_attempt
from specrun.records.process import process_is_alive, same_machine, this_process

__all__ = [
    "ending",
    "has_begun",
    "is_alive",
    "mark_active",
    "mark_pending",
    "read_final",
    "read_run",
    "run_folder",
    "unmark_active",
    "write_final",
    "write_run",
]

STALE_SECONDS = 60.0
"""A process on another machine is taken for dead when its journal has not grown for this long; it beats every 5 seconds."""


def run_folder(store: Path, run_id: str) -> Path:
    """Where a run's files are."""
    return store / "runs" / run_id


def has_begun(folder: Path) -> bool:
    """Whether a run has left anything in its folder; its process may have been killed, or not have come further yet."""
    try:
        return any(not entry.name.startswith(".") for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def write_run(folder: Path, document: Mapping[str, Any], *, again: bool = False) -> None:
    """Write run.json, once: what was asked, planned and found at the start. Raises StoreError when there is one already.

    again: replace that of an attempt which ended before the run's data was ready.
    """
    path = folder / "run.json"
    if path.exists() and not again:
        raise StoreError(f"{path} exists; a run is described once", code="run-exists", hint="begin a new run, or resume this one")
    atomic_write(path, encode_document(document))


def read_run(folder: Path) -> dict[str, Any] | None:
    """What run.json holds; None when there is none. Raises StoreError when it is damaged."""
    return read_document(folder / "run.json")


def write_final(folder: Path, document: Mapping[str, Any]) -> None:
    """Write final.json: how the newest attempt ended. A later attempt makes it void until it writes its own."""
    atomic_write(folder / "final.json", encode_document({"attempt": next_attempt(folder) - 1, **document}))


def read_final(folder: Path) -> dict[str, Any] | None:
    """How the newest attempt ended; None while it runs, or when it ended without saying so."""
    final = read_document(folder / "final.json")
    return final if final is not None and final.get("attempt") == next_attempt(folder) - 1 else None


def last_outcome(folder: Path) -> dict[str, Any] | None:
    """What final.json says, whichever attempt wrote it; None where it is missing or damaged."""
    with contextlib.suppress(StoreError):
        return read_document(folder / "final.json")
    return None


def ending(folder: Path) -> dict[str, Any] | None:
    """As `read_final`, but a damaged final.json tells nothing, so it counts as none; `store doctor` reports it."""
    with contextlib.suppress(StoreError):
        return read_final(folder)
    return None


def mark_active(store: Path, run_id: str) -> None:
    """Say that this process works on a run from now on."""
    folder = store / "active"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_failure(folder, error) from error
    atomic_write(folder / run_id, json.dumps(this_process()))


def unmark_active(store: Path, run_id: str) -> None:
    """Say that no process works on a run any more; the next merge takes in the rest of its records."""
    with contextlib.suppress(FileNotFoundError):
        (store / "active" / run_id).rename(store / "active" / f"{run_id}~{uuid.uuid4().hex}")


def mark_pending(store: Path, run_id: str) -> None:
    """Say that a run has records which the snapshot may not hold."""
    (store / "active").mkdir(parents=True, exist_ok=True)
    atomic_write(store / "active" / f"{run_id}~{uuid.uuid4().hex}", "")


def is_alive(store: Path, run_id: str) -> bool:
    """Whether a run's process lives: by process id and start time on its own machine, by the age of its heartbeat elsewhere."""
    try:
        identity = json.loads((store / "active" / run_id).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        identity = {}
    if isinstance(identity, dict) and same_machine(identity):
        return process_is_alive(identity)
    return _heartbeat_age(run_folder(store, run_id)) < STALE_SECONDS


def _heartbeat_age(folder: Path) -> float:
    """Seconds since any journal of the run grew; infinite without one."""
    newest = max((file.path.stat().st_mtime for file in journal_files(folder) if file.attempt > 0), default=float("-inf"))
    return time.time() - newest
