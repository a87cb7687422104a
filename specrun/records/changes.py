"""Owns what changes a recorded run from outside: its tags, and its removal. No DuckDB here."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from specrun.errors import StoreError, UsageError
from specrun.events import Label
from specrun.records.atomic import storage_failure
from specrun.records.journal import Journal
from specrun.records.paths import safe_join
from specrun.records.run_files import is_alive, mark_pending

__all__ = ["remove_run", "set_tags"]

LONGEST_TAG = 100


def set_tags(store: Path, run_id: str, tags: Iterable[str]) -> tuple[str, ...]:
    """Give a run these tags and no others, through a journal of its own, so that a living run is not disturbed."""
    wanted = tuple(sorted(set(tags)))
    for tag in wanted:
        if not tag.strip() or not tag.isprintable() or len(tag) > LONGEST_TAG:
            raise UsageError(
                f"{tag!r} is not a tag", code="bad-tag", hint=f"1 to {LONGEST_TAG} printable characters, for example: baseline"
            )
    with Journal.open(safe_join(store, "runs", run_id), run_id=run_id, attempt=0) as journal:
        journal.emit(Label(tags=wanted))
    mark_pending(store, run_id)
    return wanted


def remove_run(store: Path, run_id: str) -> None:
    """Delete a run's folder. Results that several runs share stay. Raises StoreError for a living run and an unsafe path."""
    folder = safe_join(store, "runs", run_id)
    if is_alive(store, run_id):
        raise StoreError(f"{run_id} is running", code="run-is-alive", hint="stop its process first")
    leaving = safe_join(store, "runs", f".removing-{run_id}")
    try:
        # Out of sight at once, so that no reader sees half a run.
        folder.rename(leaving)
        shutil.rmtree(leaving)
    except OSError as error:
        raise storage_failure(folder, error) from error
    for marker in (store / "active").glob("*"):
        if marker.name.partition("~")[0] == run_id:
            marker.unlink(missing_ok=True)
