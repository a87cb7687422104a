"""Owns the Arrow form of a batch: typed columns, named as in `schemas/records.sql`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specrun.records.batch import COLUMNS, Batch
from specrun.records.described import Described

__all__ = ["arrow_tables"]

_WHOLE = ("attempt", "n", "step", "resumed_from", "size_bytes", "read_bytes", "seen_bytes", "records", "damaged", "seed", "number")
_REAL = ("value", "seconds", "final_duration_s", "epoch")
_TIME = ("time", "first_time", "last_time", "started_at", "finished_at")
_TRUTH = ("comparable", "smoke")
_FIGURES = ("predicted", "actual")
_TEXTS = ("tags",)


def arrow_tables(batch: Batch, described: Mapping[str, Described]) -> dict[str, Any]:
    """Each table that has rows, as a pyarrow.Table. `described` and `final_metrics` are for the statements of `derive`."""
    rows: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
        table: (("run_id", "attempt", "n", *columns), list(batch.rows[table])) for table, columns in COLUMNS.items()
    }
    for run_id, run in described.items():
        steps = rows["steps"][1]
        steps.extend((run_id, 0, place, *_planned(step)) for place, step in enumerate(run.plan))
    rows["journals"] = (
        ("run_id", "file", "attempt", "read_bytes", "seen_bytes", "records", "damaged", "first_time", "last_time"),
        [
            (run_id, file, attempt, p.read_bytes, p.seen_bytes, p.records, p.damaged, p.first_time, p.last_time)
            for (run_id, file), (attempt, p) in batch.positions.items()
        ],
    )
    rows["params"] = (("run_id", "path", "value_text"), [(run_id, *row) for run_id, run in described.items() for row in run.params])
    rows["lineage"] = (("run_id", "source", "relation"), [(run_id, *row) for run_id, run in described.items() for row in run.lineage])
    rows["trials"] = (("run_id", "study", "number"), [(run_id, *run.trial) for run_id, run in described.items() if run.trial])
    final = [(run_id, name, value) for run_id, run in described.items() for name, value in run.final_metrics.items()]
    rows["final_metrics"] = (("run_id", "metric", "value"), final)
    runs = [run.run for run in described.values()]
    names = tuple(runs[0]) if runs else ("run_id",)
    rows["described"] = (names, [tuple(run[name] for name in names) for run in runs])
    tables = {table: _table(names, values) for table, (names, values) in rows.items()}
    return {**tables, "metrics": _metrics(batch)}


def _planned(step: Mapping[str, Any]) -> tuple[Any, ...]:
    predicted = {name: value for name, value in (step.get("predicted") or {}).items() if isinstance(value, int | float)}
    return (*(step.get(key, "") for key in ("id", "kind", "key", "action", "reason")), predicted, {})


def _table(names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Any:
    import pyarrow

    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    arrays = {}
    for name, column in zip(names, columns, strict=True):
        arrays["value" if name == "value_text" else name] = pyarrow.array(_values(name, column), _type(name))
    return pyarrow.table(arrays)


def _values(name: str, column: Sequence[Any]) -> Sequence[Any]:
    if name in _TIME:
        return [value if value is None or isinstance(value, int) else round(value * 1_000_000) for value in column]
    if name in _FIGURES:
        return [list((value or {}).items()) for value in column]
    return column


def _type(name: str) -> Any:
    import pyarrow

    types = {
        _WHOLE: pyarrow.int64(),
        _REAL: pyarrow.float64(),
        _TIME: pyarrow.timestamp("us"),
        _TRUTH: pyarrow.bool_(),
        _FIGURES: pyarrow.map_(pyarrow.string(), pyarrow.float64()),
        _TEXTS: pyarrow.list_(pyarrow.string()),
    }
    return next((kind for group, kind in types.items() if name in group), pyarrow.string())


def _metrics(batch: Batch) -> Any:
    """A row a value: each record's own columns are repeated for its values."""
    import numpy as np
    import pyarrow

    runs, attempts, numbers, steps, epochs, tokens, times, counts = zip(*batch.points, strict=True) if batch.points else ((),) * 8
    repeats = np.asarray(counts, dtype=np.int64)
    owners = np.repeat(np.arange(len(repeats)), repeats)

    def spread(values: Sequence[Any], kind: Any) -> Any:
        return pyarrow.array(values, kind).take(pyarrow.array(owners))

    return pyarrow.table(
        {
            "run_id": spread(runs, pyarrow.string()).dictionary_encode(),
            "attempt": spread(attempts, pyarrow.int64()),
            "n": spread(numbers, pyarrow.int64()),
            "step": spread(steps, pyarrow.int64()),
            "metric": pyarrow.array(batch.names, pyarrow.string()).dictionary_encode(),
            "value": pyarrow.array(batch.values, pyarrow.float64()),
            "epoch": spread(epochs, pyarrow.float64()),
            "tokens": spread(tokens, pyarrow.int64()),
            "time": spread([round(time * 1_000_000) for time in times], pyarrow.timestamp("us")),
        }
    )
