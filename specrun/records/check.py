"""Owns the examination of a store: every line of every journal, every document, and whether the snapshot agrees. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from specrun.errors import StoreError
from specrun.records import store as duck
from specrun.records.agreement import disagreements
from specrun.records.documents import is_sealed
from specrun.records.fields import FINAL_FIELDS, RUN_FIELDS, unsound
from specrun.records.ingest import Positions, read_positions
from specrun.records.journal_reader import CORRUPT, JournalFile, journal_files, read_journal
from specrun.records.place import check_place, command_on
from specrun.records.run_files import ending, has_begun, is_alive, read_final, read_run, run_folder
from specrun.records.snapshots import Listing, current, list_runs, no_store

__all__ = ["Finding", "check"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, or worth knowing, about a store. place: a path; remedy: what to do."""

    level: Literal["info", "warning", "error"]
    code: str
    place: str
    message: str
    remedy: str


def check(store: Path) -> list[Finding]:
    """Everything found, the snapshot first, then run by run. Raises StoreError when there is no store, or a newer one."""
    check_place(store)
    if not store.is_dir():
        raise no_store(store)
    listing = list_runs(store)
    findings = [*_leftovers(store), *_strays(store)]
    with duck.connect(store) as connection:
        positions = _snapshot_positions(connection, store, listing, findings)
        sound = set()
        for run_id in sorted(listing.runs):
            if not _is_pending(run_id, listing) and not _is_known(store, run_id, positions):
                findings.append(_not_begun(store, run_id))
                continue
            found = list(_check_run(store, run_id, listing, positions))
            findings += found
            known_bad = any(finding.level == "error" or finding.code == "snapshot-behind" for finding in found)
            if positions is not None and not known_bad and not _is_pending(run_id, listing):
                sound.add(run_id)
        findings += _check_agreement(connection, store, sound)
    return findings


def _snapshot_positions(connection: duck.Connection, store: Path, listing: Listing, findings: list[Finding]) -> Positions | None:
    snapshot = current(store)
    if snapshot is None:
        if listing.runs:
            findings.append(Finding("info", "snapshot-missing", str(store / "CURRENT"), "there is no snapshot yet", _rebuild(store)))
        return None
    try:
        if duck.open_snapshot(connection, snapshot):
            known = {run_id for (run_id,) in connection.execute("SELECT run_id FROM snapshot.runs").fetchall()}
            return read_positions(connection, "snapshot", known)
        why = "the snapshot does not open"
    except duck.Error as error:
        why = _first_line(error)
    findings.append(Finding("error", "snapshot-damaged", str(snapshot), why, _rebuild(store)))
    return None


def _rebuild(store: Path) -> str:
    return f"run `{command_on(store, 'store', 'rebuild')}`; no record is lost"


def _restore(store: Path) -> str:
    return f"restore it from a copy; `{command_on(store, 'store', 'rebuild')}` goes on without its records"


def _first_line(error: duck.Error) -> str:
    return f"the snapshot cannot be read: {str(error).partition(chr(10))[0]}"


def _is_pending(run_id: str, listing: Listing) -> bool:
    return run_id in listing.active or run_id in listing.marked


def _leftovers(store: Path) -> Iterator[Finding]:
    for pattern, what in (
        (".store-*", "an unfinished snapshot"),
        (".spill-*", "the overflow of a query"),
        (".*.part", "an unfinished file"),
        ("active/.*.part", "an unfinished file"),
        ("runs/*/.*.part", "an unfinished file"),
        ("runs/.removing-*", "a run half removed"),
    ):
        for path in sorted(store.glob(pattern)):
            yield Finding("info", "leftover", str(path), f"{what} of a process that was killed", "delete it when no specrun is running")


def _strays(store: Path) -> Iterator[Finding]:
    for path in sorted((store / "runs").glob("*")):
        if not path.name.startswith(".") and (path.is_symlink() or not path.is_dir()):
            yield Finding("info", "not-a-run", str(path), "it is no folder, so it is no run", "move it elsewhere")


def _is_known(store: Path, run_id: str, positions: Positions | None) -> bool:
    """Whether anything is recorded of a run, in its folder or in the snapshot."""
    return has_begun(run_folder(store, run_id)) or any(known == run_id for known, _ in positions or ())


def _not_begun(store: Path, run_id: str) -> Finding:
    why = "it is empty: its process was killed before the run had begun, or is about to begin it"
    remedy = f"apply its spec, or, when no specrun is running, remove it: `{command_on(store, 'runs', 'remove', run_id)}`"
    return Finding("info", "not-begun", str(run_folder(store, run_id)), why, remedy)


def _check_agreement(connection: duck.Connection, store: Path, run_ids: Set[str]) -> Iterator[Finding]:
    try:
        different = list(disagreements(connection, store, run_ids))
    except duck.Error as error:
        yield Finding("error", "snapshot-damaged", str(current(store)), _first_line(error), _rebuild(store))
        return
    # A run that went on while its records were read has every right to differ.
    now = list_runs(store)
    for run_id, table, had, wanted in different:
        if run_id in now.runs and not _is_pending(run_id, now):
            counts = f"{had:,} rows for {wanted:,}" if had != wanted else f"its {had:,} rows have other content"
            what = f"its table {table} is not what the run's journals give: {counts}"
            yield Finding("error", "snapshot-differs", str(run_folder(store, run_id)), f"the snapshot is wrong: {what}", _rebuild(store))


def _check_run(store: Path, run_id: str, listing: Listing, positions: Positions | None) -> Iterator[Finding]:
    folder = run_folder(store, run_id)
    journals = journal_files(folder)
    yield from _check_documents(store, folder, journals)
    alive = run_id in listing.active and is_alive(store, run_id)
    if run_id in listing.active and not alive and ending(folder) is None:
        yield Finding("warning", "run-crashed", str(folder), "its process ended without saying so", "apply its spec again to resume it")
    for journal in journals:
        yield from _check_journal(journal, alive=alive)
    if positions is not None and not alive and not _is_pending(run_id, listing):
        for journal in journals:
            yield from _check_position(store, journal, run_id, positions)
        yield from _missing_journals(store, folder, journals, positions)


def _check_documents(store: Path, folder: Path, journals: Sequence[JournalFile]) -> Iterator[Finding]:
    if journals and not (folder / "run.json").exists():
        what = "its records can be read, its spec cannot"
        yield Finding("error", "description-missing", str(folder / "run.json"), "the run has no run.json", what)
    for name, read, fields in (("run.json", read_run, RUN_FIELDS), ("final.json", read_final, FINAL_FIELDS)):
        remedy = f"restore it from a copy, or give the run up with: {command_on(store, 'runs', 'remove', folder.name)}"
        try:
            document = read(folder)
        except StoreError as error:
            yield Finding("error", error.code, str(folder / name), error.message, error.hint or remedy)
            continue
        for field in unsound(document or {}, fields):
            yield Finding("error", "damaged-record", str(folder / name), f"its field {field} is not what it must be", remedy)
        if document is not None and not is_sealed(folder / name):
            why = "it has no checksum, so damage to it would not show"
            yield Finding("warning", "document-unsealed", str(folder / name), why, "compare it with a copy if specrun wrote it")


def _check_journal(journal: JournalFile, *, alive: bool) -> Iterator[Finding]:
    end = expected = 0
    for record in read_journal(journal.path):
        end = record.end
        if record.kind == CORRUPT:
            place = f"{journal.path}:{record.offset}"
            yield Finding("error", "record-damaged", place, "the line's checksum does not hold; it is skipped", "check the disk")
        elif record.number > expected:
            place = f"{journal.path}:{record.offset}"
            yield Finding("error", "records-missing", place, f"records {expected} to {record.number - 1} are missing", "check the disk")
        expected = expected + 1 if record.kind == CORRUPT else record.number + 1
    torn = journal.path.stat().st_size - end
    if torn and not alive:
        yield Finding("info", "torn-tail", str(journal.path), f"its last {torn} bytes are a record cut short by a kill", "nothing to do")


def _check_position(store: Path, journal: JournalFile, run_id: str, positions: Positions) -> Iterator[Finding]:
    position = positions.get((run_id, journal.path.name))
    whole = max((record.end for record in read_journal(journal.path, position.read_bytes if position else 0)), default=0)
    if position is None or whole:
        yield Finding("warning", "snapshot-behind", str(journal.path), "the snapshot lacks records of this journal", _rebuild(store))
    elif journal.path.stat().st_size < position.read_bytes:
        yield Finding("error", "journal-shrunk", str(journal.path), "it is shorter than when it was read", _restore(store))


def _missing_journals(store: Path, folder: Path, journals: Sequence[JournalFile], positions: Positions) -> Iterator[Finding]:
    there = {journal.path.name for journal in journals}
    for file in sorted(file for run_id, file in positions if run_id == folder.name and file not in there):
        yield Finding("error", "journal-missing", str(folder / file), "the snapshot has its records, and the file is gone", _restore(store))
