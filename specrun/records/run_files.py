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
from specrun.records.journal_reader import journal_files, next_attempt
from specrun.records.lines import flag_non_finite, restore_non_finite
from specrun.records.process import process_is_alive, same_machine, this_process

__all__ = ["is_alive", "mark_active", "mark_pending", "read_final", "read_run", "run_folder", "unmark_active", "write_final", "write_run"]

STALE_SECONDS = 60.0
"""A process on another machine is taken for dead when its journal has not grown for this long; it beats every 5 seconds."""


def run_folder(store: Path, run_id: str) -> Path:
    """Where a run's files are."""
    return store / "runs" / run_id


def write_run(folder: Path, document: Mapping[str, Any], *, again: bool = False) -> None:
    """Write run.json, once: what was asked, planned and found at the start. Raises StoreError when there is one already.

    again: replace that of an attempt which ended before the run's data was ready.
    """
    path = folder / "run.json"
    if path.exists() and not again:
        raise StoreError(f"{path} exists; a run is described once", code="run-exists", hint="begin a new run, or resume this one")
    atomic_write(path, _dump(document))


def read_run(folder: Path) -> dict[str, Any] | None:
    """What run.json holds; None when there is none. Raises StoreError when it is damaged."""
    return _read(folder / "run.json")


def write_final(folder: Path, document: Mapping[str, Any]) -> None:
    """Write final.json: how the newest attempt ended. A later attempt makes it void until it writes its own."""
    atomic_write(folder / "final.json", _dump({"attempt": next_attempt(folder) - 1, **document}))


def read_final(folder: Path) -> dict[str, Any] | None:
    """How the newest attempt ended; None while it runs, or when it ended without saying so."""
    final = _read(folder / "final.json")
    return final if final is not None and final.get("attempt") == next_attempt(folder) - 1 else None


def mark_active(store: Path, run_id: str) -> None:
    """Say that this process works on a run from now on."""
    folder = store / "active"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_failure(folder, error) from error
    atomic_write(folder / run_id, _dump(this_process()))


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


def _dump(document: Mapping[str, Any]) -> str:
    return json.dumps(flag_non_finite(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise storage_failure(path, error) from error
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}", code="damaged-record", hint="see `specrun store doctor`") from error
    if not isinstance(document, dict):
        raise StoreError(f"{path} is damaged: not a JSON object", code="damaged-record", hint="see `specrun store doctor`")
    restore_non_finite(document)
    return document
