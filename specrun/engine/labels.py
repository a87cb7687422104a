"""Renaming: a finished run whose experiment has another name now is listed under it, and nothing is run for that."""

from __future__ import annotations

from pathlib import Path

from specrun.events import Label
from specrun.records.journal import Journal
from specrun.records.journal_reader import journal_files, read_journal
from specrun.records.run_files import mark_pending, read_run


def rename_run(store: Path, run_id: str, name: str) -> bool:
    """Give a recorded run the name. Returns whether it had another one."""
    folder = store / "runs" / run_id
    if recorded_name(folder) in (name, None):
        return False
    with Journal.open(folder, run_id=run_id, attempt=0) as journal:
        journal.emit(Label(name=name))
    mark_pending(store, run_id)
    return True


def recorded_name(folder: Path) -> str | None:
    """The name a run goes by: the last one it was given, else the one it was started with; None without a record."""
    document = read_run(folder)
    if document is None:
        return None
    given = [
        (record.time, record.data["name"])
        for file in journal_files(folder)
        if file.attempt == 0
        for record in read_journal(file.path)
        if record.kind == "label" and record.data.get("name")
    ]
    return str(max(given)[1] if given else document["name"])
