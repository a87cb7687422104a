"""Owns finding out what the snapshot lacks: runs with unread records, runs that ended, runs removed and perhaps begun anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from specrun.records.batch import ReadPosition
from specrun.records.ingest import Positions, read_positions
from specrun.records.journal_reader import JournalFile, journal_files, read_journal
from specrun.records.run_files import ending, has_begun, run_folder
from specrun.records.snapshots import Listing

if TYPE_CHECKING:
    import duckdb

__all__ = ["NO_NEWS", "News", "find_news", "is_same_journal"]

_MICROSECONDS = 1e-5
"""Times of the snapshot have whole microseconds."""


@dataclass(frozen=True, slots=True)
class News:
    """What the snapshot lacks. touched: runs to bring up to date; gone: runs whose rows no longer count, as their folders or
    journals were removed, of which those with a new folder are touched too; unread_bytes: of journals."""

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
    files = {run_id: journal_files(run_folder(store, run_id)) for run_id in suspects}
    # The id of a removed run is given out again: what the snapshot has of it is then another run's.
    anew = {run_id for run_id, file in positions if not _is_there(positions[run_id, file], file, files[run_id])}
    positions = {place: position for place, position in positions.items() if place[0] not in anew}
    touched, total = set(anew), 0
    for run_id in suspects:
        unread = _unread(run_id, files[run_id], positions)
        total += unread
        # An active run with nothing unread is as the snapshot has it, unless it just ended.
        has_ended = known.get(run_id) == "running" and ending(run_folder(store, run_id)) is not None
        is_new = run_id not in known and (run_id in listing.active or has_begun(run_folder(store, run_id)))
        if unread or is_new or run_id in listing.marked or has_ended:
            touched.add(run_id)
    return News(frozenset(touched), frozenset(gone | anew), positions, total)


def is_same_journal(journal: JournalFile, position: ReadPosition) -> bool:
    """Whether a file is the one that was read to a position: it begins as that did, and has not become shorter.

    A clock set back while it was written gives a needless no, which costs reading it again.
    """
    try:
        if journal.path.stat().st_size < position.read_bytes:
            return False
        header = next(read_journal(journal.path), None)
    except FileNotFoundError:
        return False
    if header is None or header.kind != "journal" or position.first_time is None:
        return True
    return abs(header.time - position.first_time) < _MICROSECONDS


def _is_there(position: ReadPosition, name: str, files: list[JournalFile]) -> bool:
    return any(file.path.name == name and is_same_journal(file, position) for file in files)


def _unread(run_id: str, files: list[JournalFile], positions: Positions) -> int:
    """Bytes of a run's journals that were not read yet."""
    unread = 0
    for journal in files:
        try:
            size = journal.path.stat().st_size
        except FileNotFoundError:
            continue
        position = positions.get((run_id, journal.path.name))
        unread += max(0, size - position.seen_bytes) if position else size
    return unread
