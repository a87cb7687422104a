"""Labels: a finished run whose experiment has another name or more tags now is listed with them, and nothing is run for that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from specrun.events import Label
from specrun.records.journal import Journal
from specrun.records.journal_reader import journal_files, read_journal
from specrun.records.run_files import mark_pending, read_run


def relabel_run(store: Path, run_id: str, name: str, tags: Sequence[str]) -> bool:
    """Give a recorded run the spec's name and add the spec's tags. Returns whether anything was new.

    Tags that a person gave the run stay: taking one out of the spec takes none away.
    """
    folder = store / "runs" / run_id
    document = read_run(folder)
    if document is None:
        return False
    known = _labels(folder)
    other_name = (known["name"] or document["name"]) != name
    has = known["tags"] if known["tags"] is not None else tuple(document["tags"])
    wanted = tuple(sorted({*has, *tags}))
    if not other_name and set(wanted) == set(has):
        return False
    with Journal.open(folder, run_id=run_id, attempt=0) as journal:
        journal.emit(Label(name=name if other_name else None, tags=wanted if set(wanted) != set(has) else None))
    mark_pending(store, run_id)
    return True


def _labels(folder: Path) -> dict[str, Any]:
    """The newest name and tags that a run was given from outside; None for what it was not given."""
    records = [record for file in journal_files(folder) if file.attempt == 0 for record in read_journal(file.path)]
    newest: dict[str, Any] = {"name": None, "tags": None}
    for record in sorted((record for record in records if record.kind == "label"), key=lambda record: record.time):
        newest |= {key: record.data[key] for key in newest if record.data.get(key) is not None}
    return newest
