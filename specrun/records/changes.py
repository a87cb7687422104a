"""Owns what changes a run from outside: its tags, and its removal. No DuckDB here."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from specrun.errors import StoreError, UsageError
from specrun.records.atomic import storage_failure
from specrun.records.labels import give
from specrun.records.paths import safe_join
from specrun.records.run_files import has_begun, is_alive, run_folder
from specrun.records.snapshots import list_runs

__all__ = ["change_tags", "not_begun", "remove_run"]

LONGEST_TAG = 100


def change_tags(store: Path, run_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Add tags to a run and take others away; those that somebody else changes meanwhile change too. Raises UsageError `bad-tag`."""
    added, removed = set(add), set(remove)
    for tag in sorted(added):
        if not tag.strip() or not tag.isprintable() or len(tag) > LONGEST_TAG:
            raise UsageError(
                f"{tag!r} is not a tag", code="bad-tag", hint=f"1 to {LONGEST_TAG} printable characters, for example: baseline"
            )
    give(store, run_id, add=added - removed, remove=removed)


def not_begun(store: Path) -> list[str]:
    """Ids of runs without any record, as their processes were killed before they began them, or are about to."""
    listing = list_runs(store)
    return sorted(run_id for run_id in listing.runs - listing.active if not has_begun(run_folder(store, run_id)))


def remove_run(store: Path, run_id: str) -> None:
    """Delete a run's folder. Results that several runs share stay. Raises StoreError for a living run and an unsafe path."""
    folder = safe_join(store, "runs", run_id)
    if is_alive(store, run_id):
        raise StoreError(f"{run_id} is running", code="run-is-alive", hint="stop its process first")
    leaving = safe_join(store, "runs", f".removing-{run_id}-{uuid.uuid4().hex}")
    try:
        # Out of sight at once, so that no reader sees half a run.
        folder.rename(leaving)
        with contextlib.suppress(FileNotFoundError):  # another process that removes a run clears this one away too
            shutil.rmtree(leaving)
    except OSError as error:
        raise storage_failure(folder, error) from error
    for half_removed in (store / "runs").glob(".removing-*"):
        shutil.rmtree(half_removed, ignore_errors=True)
    for marker in (store / "active").glob("*"):
        if marker.name.partition("~")[0] == run_id:
            marker.unlink(missing_ok=True)
