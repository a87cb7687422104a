"""Owns the columns of a batch, named as in `schemas/records.sql`: plain lists, and for many values Arrow. No DuckDB here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Literal

from specrun.records.batch import COLUMNS, Batch
from specrun.records.described import Described

__all__ = ["Columns", "Type", "arrow_metrics", "metric_columns", "table_columns", "type_of"]

Columns = Mapping[str, Sequence[Any]]
Type = Literal["text", "whole", "real", "time", "truth", "figures", "texts"]
"""time: microseconds since 1970, UTC. figures: name -> number. texts: a list of texts."""

_COUNTS = ("n", "step", "attempt", "resumed_from", "records", "damaged", "number", "tokens")
_TYPES: dict[Type, tuple[str, ...]] = {
    "whole": (*_COUNTS, "size_bytes", "read_bytes", "seen_bytes", "seed", "fold", "folds"),
    "real": ("value", "seconds", "final_duration_s", "epoch"),
    "time": ("time", "first_time", "last_time", "started_at", "finished_at"),
    "truth": ("comparable", "smoke"),
    "figures": ("predicted", "actual"),
    "texts": ("tags", "added", "removed"),
}
_METRICS = ("run_id", "attempt", "n", "step", "epoch", "tokens", "time")


def type_of(table: str, column: str) -> Type:
    """What a column holds; text where nothing else is said."""
    if (table, column) == ("params", "value"):
        return "text"
    return next((kind for kind, names in _TYPES.items() if column in names), "text")


def table_columns(batch: Batch, described: Mapping[str, Described]) -> dict[str, Columns]:
    """The columns of every table but `metrics`. `described` and `final_metrics` are for the statements of `derive`."""
    rows = {table: (("run_id", "attempt", "n", *columns), list(batch.rows[table])) for table, columns in COLUMNS.items()}
    for run_id, run in described.items():
        rows["steps"][1].extend((run_id, 0, place, *_planned(step)) for place, step in enumerate(run.plan))
    rows["journals"] = (
        ("run_id", "file", "attempt", "read_bytes", "seen_bytes", "records", "damaged", "first_time", "last_time"),
        [
            (
                run_id,
                file,
                attempt,
                p.read_bytes,
                p.seen_bytes,
                p.records,
                p.damaged,
                _microseconds(p.first_time),
                _microseconds(p.last_time),
            )
            for (run_id, file), (attempt, p) in batch.positions.items()
        ],
    )
    rows["params"] = (("run_id", "path", "value"), [(run_id, *row) for run_id, run in described.items() for row in run.params])
    rows["lineage"] = (("run_id", "source", "relation"), [(run_id, *row) for run_id, run in described.items() for row in run.lineage])
    rows["trials"] = (("run_id", "study", "number"), [(run_id, *run.trial) for run_id, run in described.items() if run.trial])
    final = [(run_id, name, value) for run_id, run in described.items() for name, value in run.final_metrics.items()]
    rows["final_metrics"] = (("run_id", "metric", "value"), final)
    runs = [run.run for run in described.values()]
    rows["described"] = (tuple(runs[0]), [tuple(run.values()) for run in runs])
    return {table: _columns(names, values) for table, (names, values) in rows.items()}


def metric_columns(batch: Batch) -> Columns:
    """A row a value: each record's own columns are repeated for its values."""
    columns: dict[str, Sequence[Any]] = {}
    for name, values in _points(batch).items():
        columns[name] = list(chain.from_iterable(map(repeat, values, _counts(batch))))
    return {**columns, "metric": batch.names, "value": batch.values}


def arrow_metrics(batch: Batch) -> Any:
    """The same as a pyarrow.Table, several times faster for many values; worth the import only then."""
    import numpy as np
    import pyarrow

    kinds = {"text": pyarrow.string(), "whole": pyarrow.int64(), "real": pyarrow.float64(), "time": pyarrow.timestamp("us")}
    owners = pyarrow.array(np.repeat(np.arange(len(batch.points)), _counts(batch)))
    columns = {name: pyarrow.array(values, kinds[type_of("metrics", name)]).take(owners) for name, values in _points(batch).items()}
    names = pyarrow.array(batch.names, pyarrow.string()).dictionary_encode()
    return pyarrow.table({**columns, "metric": names, "value": pyarrow.array(batch.values, pyarrow.float64())})


def _points(batch: Batch) -> dict[str, Sequence[Any]]:
    columns = zip(*(point[:-1] for point in batch.points), strict=True) if batch.points else repeat((), len(_METRICS))
    return dict(zip(_METRICS, columns, strict=True))


def _counts(batch: Batch) -> list[int]:
    return [point[-1] for point in batch.points]


def _planned(step: Mapping[str, Any]) -> tuple[Any, ...]:
    predicted = {name: value for name, value in (step.get("predicted") or {}).items() if isinstance(value, int | float)}
    return (*(step.get(key, "") for key in ("id", "kind", "key", "action", "reason")), predicted, {})


def _columns(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Columns:
    columns = zip(*rows, strict=True) if rows else repeat((), len(names))
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


def _microseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
