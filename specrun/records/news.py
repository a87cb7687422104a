"""Owns finding out what the snapshot lacks: runs with unread records, runs that ended, runs whose folders are gone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specrun.errors import StoreError
from specrun.records.ingest import Positions, read_positions
from specrun.records.journal_reader import journal_files
from specrun.records.run_files import read_final, run_folder
from specrun.records.snapshots import Listing

if TYPE_CHECKING:
    import duckdb

__all__ = ["NO_NEWS", "News", "find_news"]


@dataclass(frozen=True, slots=True)
class News:
    """What the snapshot lacks. touched: runs to make anew; gone: runs whose folders were removed; unread_bytes: of journals."""

    touched: frozenset[str]
    gone: frozenset[str]
    positions: Positions
    unread_bytes: int


NO_NEWS = News(frozenset(), frozenset(), {}, 0)


def find_news(connection: duckdb.DuckDBPyConnection, store: Path, listing: Listing) -> News:
    """Compare the folders with the database `snapshot` of a connection."""
    known: dict[str, str] = dict(connection.execute("SELECT run_id, status FROM snapshot.runs").fetchall())
    # A run that began after the folders were listed may be in a newer snapshot already: only its folder's absence counts.
    gone = {run_id for run_id in known.keys() - listing.runs if not run_folder(store, run_id).is_dir()}
    suspects = ((listing.runs - known.keys()) | listing.active | listing.marked) & listing.runs
    positions = read_positions(connection, "snapshot", suspects) if suspects else {}
    touched, total = set(), 0
    for run_id in suspects:
        unread = _unread(store, run_id, positions)
        total += unread or 0
        # An active run with nothing unread is as the snapshot has it, unless it just ended.
        if unread or run_id not in known or run_id in listing.marked or (known[run_id] == "running" and _has_ended(store, run_id)):
            touched.add(run_id)
    return News(frozenset(touched), frozenset(gone), positions, total)


def _has_ended(store: Path, run_id: str) -> bool:
    try:
        return read_final(run_folder(store, run_id)) is not None
    except StoreError:
        return False


def _unread(store: Path, run_id: str, positions: Positions) -> int:
    """Bytes of a run's journals that were not read yet."""
    unread = 0
    for journal in journal_files(run_folder(store, run_id)):
        try:
            size = journal.path.stat().st_size
        except FileNotFoundError:
            continue
        position = positions.get((run_id, journal.path.name))
        unread += max(0, size - position.seen_bytes) if position else size
    return unread
