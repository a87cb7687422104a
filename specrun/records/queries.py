"""Owns the questions asked of the records: runs, curves, summaries, leaderboards, SQL. Reads only, and never waits for training."""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specrun.errors import StoreError, UsageError
from specrun.records.rows import AlertRow, ArtifactRow, ExampleRow, Point, RunRow, StepRow, SummaryRow
from specrun.records.run_files import read_final, read_run, run_folder

if TYPE_CHECKING:
    import duckdb

__all__ = ["Records", "open_records"]

_RUN_COLUMNS = "run_id, name, status, reason, task, seed, attempts, started_at, finished_at, duration_s, tags, comparable"
_ISO = "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ')"
"""As `_iso` writes it; for many rows DuckDB is faster at it than Python."""

_ORDERS = {"started_at": "started_at DESC", "name": "name", "duration": "duration_s DESC", "status": "status"}


@contextlib.contextmanager
def open_records(store: Path, *, merge_first: bool = True) -> Iterator[Records]:
    """The records of a store, as they are now. merge_first: also bring the snapshot up to date, where that is worth it.

    Raises StoreError when there is no store or a newer specrun wrote it.
    """
    from specrun.records.reader import open_view

    with open_view(store, merge_first=merge_first) as connection:
        yield Records(connection, store)


class Records:
    """Answers about runs. Run ids are whole ids, as `run` gives them for a unique beginning."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, store: Path) -> None:
        self._connection = connection
        self.store = store

    def runs(
        self,
        *,
        name: str | None = None,
        status: str | None = None,
        tag: str | None = None,
        task: str | None = None,
        smoke: bool | None = None,
        order: str | None = None,
        limit: int | None = None,
    ) -> list[RunRow]:
        """Runs that meet every condition, newest first, or by `order`: started_at, name, duration, status."""
        conditions: dict[str, Any] = {
            "name = ?": name,
            "status = ?": status,
            "list_contains(tags, ?)": tag,
            "task = ?": task,
            "smoke = ?": smoke,
        }
        asked = {condition: value for condition, value in conditions.items() if value is not None}
        where = " AND ".join(asked) or "true"
        return self._runs(f"WHERE {where} ORDER BY {_order(order)}, run_id LIMIT ?", [*asked.values(), limit])

    def run(self, run_id: str) -> RunRow:
        """One run, by its id or a beginning of it that no other has. Raises UsageError `unknown-run` or `ambiguous-run`."""
        known = [row[0] for row in self._rows("SELECT run_id FROM runs ORDER BY run_id")]
        found = [run_id] if run_id in known else [other for other in known if run_id and other.startswith(run_id)]
        if len(found) > 1:
            raise UsageError(f"{len(found)} runs begin with {run_id!r}", code="ambiguous-run", hint=f"name one of: {_some(found)}")
        if not found:
            near = difflib.get_close_matches(run_id, known, n=3, cutoff=0.4) or known[-3:]
            hint = f"nearest: {_some(near)}; `specrun runs list` shows all {len(known)}" if known else f"{self.store} holds no runs yet"
            raise UsageError(f"no run {run_id!r} in {self.store}", code="unknown-run", hint=hint)
        return self._runs("WHERE run_id = ?", [found[0]])[0]

    def document(self, run_id: str) -> dict[str, Any]:
        """run.json: what was asked, planned and found at the start."""
        return read_run(run_folder(self.store, run_id)) or {}

    def final(self, run_id: str) -> dict[str, Any] | None:
        """final.json: how the run ended; None while it runs, or when it crashed."""
        return read_final(run_folder(self.store, run_id))

    def series(self, run_id: str, metrics: Sequence[str] | None = None) -> dict[str, list[Point]]:
        """Curves of a run, each in order of steps. metrics: only these; one that was not recorded is absent."""
        # Runs lie in the file about in the order of time, so bounds of time spare reading the rest of a large store.
        window = "SELECT min(first_time) - INTERVAL 1 SECOND, max(last_time) + INTERVAL 1 SECOND FROM journals WHERE run_id = ?"
        [(first, last)] = self._rows(window, [run_id])
        rows = self._rows(
            f"SELECT metric, step, value, epoch, tokens, {_ISO} FROM metrics WHERE run_id = $run AND time BETWEEN $first AND $last"  # noqa: S608 - constant text
            " AND ($metrics IS NULL OR list_contains($metrics, metric)) ORDER BY metric, step",
            {"run": run_id, "first": first, "last": last, "metrics": None if metrics is None else list(metrics)},
        )
        curves: dict[str, list[Point]] = {}
        for metric, *point in rows:
            curves.setdefault(metric, []).append(Point(*point))
        return curves

    def summary(self, run_id: str) -> list[SummaryRow]:
        """Each metric of a run that has a curve, in one line; extremes are over finite values, and NaN where there are none."""
        rows = self._rows(
            "SELECT metric, first, last, coalesce(minimum, 'nan'), coalesce(maximum, 'nan'), coalesce(argmin, -1), coalesce(argmax, -1),"
            " tail_mean, count FROM run_summary WHERE run_id = ? AND count > 0 ORDER BY metric",
            [run_id],
        )
        return [SummaryRow(*row) for row in rows]

    def steps(self, run_id: str) -> list[StepRow]:
        """The plan's steps in the plan's order, predicted against actual."""
        rows = self._rows(
            "SELECT id, kind, key, action, reason, predicted, actual FROM steps WHERE run_id = ? ORDER BY attempt, n", [run_id]
        )
        order = {step["id"]: place for place, step in enumerate(self.document(run_id).get("plan", ()))}
        return sorted((StepRow(*row) for row in rows), key=lambda step: order.get(step.id, len(order)))

    def alerts(self, run_id: str) -> list[AlertRow]:
        """What a person should know of a run, oldest first."""
        rows = self._rows("SELECT time, level, code, message, step FROM alerts WHERE run_id = ? ORDER BY attempt, n", [run_id])
        return [AlertRow(_iso(time), *rest) for time, *rest in rows]

    def examples(self, run_id: str) -> list[ExampleRow]:
        """Generated texts and predictions, in order of steps."""
        rows = self._rows("SELECT step, name, data FROM examples WHERE run_id = ? ORDER BY step, attempt, n", [run_id])
        return [ExampleRow(step, name, json.loads(data)) for step, name, data in rows]

    def artifacts(self, run_id: str) -> list[ArtifactRow]:
        """Files and folders of a run."""
        rows = self._rows("SELECT role, path, sha256, size_bytes, producer FROM artifacts WHERE run_id = ? ORDER BY role, path", [run_id])
        return [ArtifactRow(*row) for row in rows]

    def params(self, run_id: str) -> dict[str, str]:
        """The resolved spec, flattened: dotted path -> text."""
        return dict(self._rows("SELECT path, value FROM params WHERE run_id = ? ORDER BY path", [run_id]))

    def best(self, metric: str, goal: Literal["minimize", "maximize"], limit: int = 10) -> list[tuple[RunRow, float]]:
        """The runs with the best value of a metric at any step, best first, each with that value; smoke runs apart.

        Raises UsageError `unknown-metric`, naming the nearest, when no run has it.
        """
        value = "coalesce(minimum, final)" if goal == "minimize" else "coalesce(maximum, final)"
        direction = "ASC" if goal == "minimize" else "DESC"
        rows = self._rows(
            f"SELECT s.run_id, {value} AS best FROM run_summary AS s JOIN runs AS r ON r.run_id = s.run_id"  # noqa: S608 - no text from outside
            f" WHERE s.metric = ? AND NOT r.smoke AND isfinite({value}) ORDER BY best {direction}, s.run_id LIMIT ?",
            [metric, limit],
        )
        if not rows:
            self._require_metric(metric)
        found = {run.run_id: run for run in self._runs("WHERE run_id IN (SELECT unnest(?))", [[run_id for run_id, _ in rows]])}
        return [(found[run_id], best) for run_id, best in rows]

    def sql(self, query: str, limit: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer to one SELECT: column names and rows, at most `limit`. Raises UsageError for anything else."""
        from specrun.records.ask import ask

        return ask(self._connection, query, limit)

    def _runs(self, clause: str, values: Sequence[Any]) -> list[RunRow]:
        rows = self._rows(f"SELECT {_RUN_COLUMNS} FROM runs {clause}", values)  # noqa: S608 - clauses of this class, values bound
        ids = [row[0] for row in rows]
        metrics: dict[str, dict[str, float]] = {run_id: {} for run_id in ids}
        for run_id, metric, value in self._rows(
            "SELECT run_id, metric, coalesce(final, last) FROM run_summary WHERE run_id IN (SELECT unnest(?)) ORDER BY run_id, metric",
            [ids],
        ):
            metrics[run_id][metric] = value
        return [_run_row(row, metrics[row[0]]) for row in rows]

    def _require_metric(self, metric: str) -> None:
        known = [row[0] for row in self._rows("SELECT DISTINCT metric FROM run_summary ORDER BY metric")]
        if metric not in known:
            near = difflib.get_close_matches(metric, known, n=3, cutoff=0.4) or known[:5]
            hint = f"nearest: {_some(near)}" if near else "no run has recorded a metric yet"
            raise UsageError(f"no run has recorded {metric!r}", code="unknown-metric", hint=hint)

    def _rows(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        from specrun.records.store import Error

        try:
            return self._connection.execute(query, values).fetchall()
        except Error as error:
            message = str(error).partition("\n")[0]
            hint = "run `specrun store rebuild`; no record is lost"
            raise StoreError(f"{self.store}: the snapshot cannot be read: {message}", code="snapshot-damaged", hint=hint) from error


def _run_row(row: tuple[Any, ...], metrics: dict[str, float]) -> RunRow:
    run_id, name, status, reason, task, seed, attempts, started_at, finished_at, duration_s, tags, comparable = row
    return RunRow(
        run_id=run_id,
        name=name,
        status=status,
        reason=reason,
        task=task,
        seed=seed,
        attempts=attempts,
        started_at=_iso(started_at),
        finished_at=None if finished_at is None else _iso(finished_at),
        duration_s=duration_s,
        tags=tuple(tags),
        comparable=comparable,
        metrics=metrics,
    )


def _order(order: str | None) -> str:
    if order is None:
        return _ORDERS["started_at"]
    if order not in _ORDERS:
        raise UsageError(f"runs cannot be ordered by {order!r}", code="unknown-order", hint=f"one of: {', '.join(_ORDERS)}")
    return _ORDERS[order]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _iso(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="milliseconds") + "Z"
