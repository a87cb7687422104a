"""Owns the labels given to a run from outside: a name, tags added and taken away, each by a record of its own. No DuckDB here.

A label says what changes, not what then is, so that two given at once both count. Its number is one more than that of every
label its giver knew of: a later label overrules an earlier one whatever the clock says. `derive` folds them likewise.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from specrun.events import Label
from specrun.records.journal import Journal
from specrun.records.journal_reader import journal_files, read_journal
from specrun.records.paths import safe_join
from specrun.records.run_files import mark_pending

__all__ = ["Given", "give", "given"]


@dataclass(frozen=True, slots=True)
class Given:
    """What all labels come to. name: None where none gave one; tags: whether each tag was added or taken away last; number: the highest."""

    name: str | None
    tags: Mapping[str, bool]
    number: int


def given(run_folder: Path) -> Given:
    """What a run was given from outside so far."""
    records = (record for file in journal_files(run_folder) if file.attempt == 0 for record in read_journal(file.path))
    labels = sorted(
        ((event.number, record.time, record.number, event) for record in records if isinstance(event := record.event(), Label)),
        key=lambda label: label[:3],
    )
    name, tags, number = None, dict[str, bool](), 0
    for number, *_, label in labels:  # noqa: B007 - the last number is the highest
        name = name if label.name is None else label.name
        tags |= dict.fromkeys(label.removed, False) | dict.fromkeys(label.added, True)
    return Given(name, tags, number)


def give(
    store: Path,
    run_id: str,
    *,
    name: str | None = None,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    clock: Callable[[], float] = time.time,
) -> None:
    """Record a label in a journal of its own, so that a living run is not disturbed. Raises StoreError."""
    folder = safe_join(store, "runs", run_id)
    label = Label(name, added=tuple(sorted(set(add))), removed=tuple(sorted(set(remove))), number=given(folder).number + 1)
    with Journal.open(folder, run_id=run_id, attempt=0, clock=clock) as journal:
        journal.emit(label)
    mark_pending(store, run_id)
