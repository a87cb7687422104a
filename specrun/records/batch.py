"""Owns turning journal records into columns, a table at a time, ready for one bulk insert. No DuckDB here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specrun.records.journal_reader import CORRUPT, JournalFile, Record, read_journal

__all__ = ["COLUMNS", "Batch", "ReadPosition"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "system": ("time", "metric", "value"),
    "steps": ("id", "kind", "key", "action", "reason", "predicted", "actual"),
    "spans": ("time", "name", "producer", "seconds", "step"),
    "artifacts": ("role", "path", "sha256", "size_bytes", "producer"),
    "alerts": ("time", "level", "code", "message", "step"),
    "examples": ("time", "step", "name", "data"),
    "statuses": ("time", "status", "reason", "resumed_from"),
    "labels": ("time", "number", "name", "added", "removed"),
}
"""Columns of each table that journals fill, after run_id, attempt and n. `metrics` is built apart, for speed."""


@dataclass(frozen=True, slots=True)
class ReadPosition:
    """How far a journal has been read, to its last whole line; seen_bytes counts a torn one too. Times: earliest, latest record."""

    read_bytes: int = 0
    seen_bytes: int = 0
    records: int = 0
    damaged: int = 0
    first_time: float | None = None
    last_time: float | None = None


class Batch:
    """Rows gathered from journals. metrics: a row a record in `points`, a row a value in `names` and `values`."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in COLUMNS}
        self.points: list[tuple[str, int, int, int, float | None, int | None, int, int]] = []
        self.names: list[str] = []
        self.values: list[float] = []
        self.positions: dict[tuple[str, str], tuple[int, ReadPosition]] = {}

    def read(self, run_id: str, journal: JournalFile, position: ReadPosition) -> None:
        """Take in what a journal gained since a position."""
        size = journal.path.stat().st_size
        end, records, damaged = position.read_bytes, position.records, position.damaged
        first, last = position.first_time, position.last_time
        for record in read_journal(journal.path, position.read_bytes):
            end = record.end
            if record.kind == CORRUPT:
                damaged += 1
                continue
            records += 1
            first = record.time if first is None or record.time < first else first
            last = record.time if last is None or record.time > last else last
            self._add(run_id, journal.attempt, record, round(record.time * 1_000_000))
        self.positions[run_id, journal.path.name] = (journal.attempt, ReadPosition(end, max(end, size), records, damaged, first, last))

    @property
    def size(self) -> int:
        """Values gathered, about what memory they take."""
        return len(self.values) + sum(len(rows) for rows in self.rows.values())

    def first_steps(self) -> dict[str, int]:
        """The least step of each run's gathered metrics."""
        first: dict[str, int] = {}
        for run_id, _, _, step, *_ in self.points:
            if step < first.get(run_id, step + 1):
                first[run_id] = step
        return first

    def _add(self, run_id: str, attempt: int, record: Record, time_us: int) -> None:
        data = record.data
        if record.kind == "metrics":
            values = data["values"]
            self.points.append((run_id, attempt, record.number, data["step"], data.get("epoch"), data.get("tokens"), time_us, len(values)))
            self.names.extend(values)
            self.values.extend(values.values())
        elif record.kind in _ROWS:
            table, rows_of = _ROWS[record.kind]
            self.rows[table].extend((run_id, attempt, record.number, *row) for row in rows_of(data, time_us))


_Rows = Callable[[Mapping[str, Any], int], list[tuple[Any, ...]]]


def _pick(*keys: str) -> _Rows:
    return lambda data, time: [tuple(time if key == "time" else data.get(key) for key in keys)]


def _system(data: Mapping[str, Any], time: int) -> list[tuple[Any, ...]]:
    return [(time, name, value) for name, value in data["values"].items()]


def _example(data: Mapping[str, Any], time: int) -> list[tuple[Any, ...]]:
    return [(time, data["step"], data["name"], json.dumps(data["data"], ensure_ascii=False))]


_ROWS: dict[str, tuple[str, _Rows]] = {
    "system": ("system", _system),
    "steprecord": ("steps", _pick("id", "step_kind", "key", "action", "reason", "predicted", "actual")),
    "span": ("spans", _pick("time", "name", "producer", "seconds", "step")),
    "artifact": ("artifacts", _pick("role", "path", "sha256", "size_bytes", "producer")),
    "alert": ("alerts", _pick("time", "level", "code", "message", "step")),
    "example": ("examples", _example),
    "status": ("statuses", _pick("time", "status", "reason", "resumed_from")),
    "label": ("labels", _pick("time", "number", "name", "added", "removed")),
}
