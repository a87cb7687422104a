"""Owns the questions asked of the records: runs, curves, summaries, leaderboards, SQL. Reads only, and never waits for training."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from specrun.errors import StoreError, UsageError
from specrun.events import RunStatus
from specrun.records import ranking
from specrun.records.attempts import ATTEMPTS
from specrun.records.cautions import cautions
from specrun.records.fields import RUN_FIELDS, sound
from specrun.records.place import command_on, store_of
from specrun.records.rows import (
    AlertRow,
    ArtifactRow,
    AttemptRow,
    Caution,
    ExampleRow,
    Point,
    Ranked,
    Reading,
    RunRow,
    Spread,
    StepRow,
    SummaryRow,
)
from specrun.records.run_files import read_final, read_run, run_folder
from specrun.records.seeds import ENDED_WELL, one_a_seed, spread

if TYPE_CHECKING:
    import duckdb

__all__ = ["ORDERS", "Records", "open_records", "require_known", "require_order", "require_status"]

_RUN_COLUMNS = (
    "run_id, name, status, reason, task, seed, attempts, started_at, finished_at, duration_s, tags, comparable, experiment, smoke,"
    " fold, folds"
)
_ISO = "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ')"
"""As `_iso` writes it; for many rows DuckDB is faster at it than Python."""

_ALIKE = 0.6
"""A recorded metric is offered for another from this share of common letters on."""
ORDERS = {"started_at": ("started_at", True), "name": ("name", False), "duration": ("duration_s", True), "status": ("status", False)}
"""How runs may be ordered: the column, which is a field of RunRow too, and whether the greatest comes first."""


@contextlib.contextmanager
def open_records(store: Path | str, *, merge_first: bool = True) -> Iterator[Records]:
    """The records of a store, as they are now. merge_first: also bring the snapshot up to date, where that is worth it.

    Raises StoreError when there is no store or a newer specrun wrote it.
    """
    from specrun.records.reader import open_view

    store = store_of(store)
    with open_view(store, merge_first=merge_first) as connection:
        yield Records(connection, store)


class Records:
    """Answers about runs. Run ids are whole ids, as `run` gives them for a name or a unique beginning."""

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
        """Runs that meet every condition, newest first, or by `order`: started_at, name, duration, status.

        Raises UsageError `unknown-status`, `unknown-order`.
        """
        where, values = _conditions(name=name, status=status, tag=tag, task=task, smoke=smoke)
        column, greatest_first = ORDERS[require_order(order)]
        return self._runs(f"WHERE {where} ORDER BY {column}{' DESC' if greatest_first else ''}, run_id LIMIT ?", [*values, limit])

    def run(self, run: str) -> RunRow:
        """One run: by its id; by a name, the newest of that name; by a beginning that no other id has.

        Raises UsageError `unknown-run` or `ambiguous-run`.
        """
        names: dict[str, str] = dict(self._rows("SELECT run_id, name FROM runs ORDER BY run_id"))
        found = [run] if run in names else self.named(run)[:1] or [other for other in names if run and other.startswith(run)]
        if len(found) > 1:
            raise UsageError(f"{len(found)} runs begin with {run!r}", code="ambiguous-run", hint=f"name one of: {_some(found)}")
        if not found:
            known = sorted({*names, *names.values()})
            near = difflib.get_close_matches(run, known, n=3, cutoff=0.4) or list(names)[-3:]
            every = command_on(self.store, "runs", "list")
            hint = f"nearest: {_some(near)}; `{every}` shows all {len(names)}" if names else f"{self.store} holds no runs yet"
            raise UsageError(f"no run {run!r} in {self.store}", code="unknown-run", hint=hint)
        return self._runs("WHERE run_id = ?", [found[0]])[0]

    def named(self, name: str) -> list[str]:
        """Ids of the runs of a name, newest first."""
        return [row[0] for row in self._rows("SELECT run_id FROM runs WHERE name = ? ORDER BY started_at DESC, run_id", [name])]

    def experiment(self, run: RunRow) -> list[RunRow]:
        """The runs that differ from one by seed or fold alone and that ended well, of each the newest; in order of folds and seeds."""
        return one_a_seed(self._runs("WHERE experiment = ? AND smoke = ? ORDER BY started_at DESC, run_id", [run.experiment, run.smoke]))

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """How each attempt at a run went, in their order."""
        rows = self._rows(ATTEMPTS, {"run": run_id})
        return [AttemptRow(attempt, status, reason, _iso(began), *rest) for attempt, status, reason, began, *rest in rows]

    def document(self, run_id: str) -> dict[str, Any]:
        """run.json: what was asked, planned and found at the start. Raises StoreError `damaged-record`."""
        return read_run(run_folder(self.store, run_id)) or {}

    def final(self, run_id: str) -> dict[str, Any] | None:
        """final.json: how the run ended; None while it runs, or when it crashed. Raises StoreError `damaged-record`."""
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

    def system(self, run_id: str) -> dict[str, list[Reading]]:
        """Readings of the machine, by metric, each in order of time; one that the machine did not give is absent."""
        found: dict[str, list[Reading]] = {}
        query = "SELECT metric, attempt, epoch(time), value FROM system WHERE run_id = ? ORDER BY metric, attempt, n"
        for metric, *reading in self._rows(query, [run_id]):
            found.setdefault(metric, []).append(Reading(*reading))
        return found

    def summary(self, run_id: str) -> list[SummaryRow]:
        """Each metric of a run that has a curve, in one line; extremes are over finite values, and NaN where there are none."""
        rows = self._rows(
            "SELECT metric, first, last, coalesce(minimum, 'nan'), coalesce(maximum, 'nan'), coalesce(argmin, -1), coalesce(argmax, -1),"
            " tail_mean, count, final FROM run_summary WHERE run_id = ? AND count > 0 ORDER BY metric",
            [run_id],
        )
        return [SummaryRow(*row) for row in rows]

    def steps(self, run_id: str) -> list[StepRow]:
        """The plan's steps in the plan's order, predicted against actual."""
        rows = self._rows(
            "SELECT id, kind, key, action, reason, predicted, actual FROM steps WHERE run_id = ? ORDER BY attempt, n", [run_id]
        )
        order = {step.get("id"): place for place, step in enumerate(self._description(run_id).get("plan", ()))}
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

    def best(
        self,
        metric: str,
        goal: Literal["minimize", "maximize"],
        limit: int = 10,
        *,
        name: str | None = None,
        status: str | None = None,
        tag: str | None = None,
        task: str | None = None,
    ) -> list[Ranked]:
        """The runs by what their ends reported of a metric, else by the best of it in training so far; smoke runs apart.

        Raises UsageError `unknown-metric`, naming the nearest, when no run has it; `unknown-status`.
        """
        value = ranking.value(goal)
        direction = "ASC" if goal == "minimize" else "DESC"
        where, values = _conditions(name=name, status=status, tag=tag, task=task, smoke=False)
        rows = self._rows(
            f"SELECT s.run_id, {value} AS value, {ranking.in_training(goal)} FROM run_summary AS s"  # noqa: S608 - no text from outside
            f" JOIN (SELECT run_id, status FROM runs WHERE {where}) AS r USING (run_id)"
            f" WHERE s.metric = ? AND isfinite({value}) ORDER BY value {direction}, s.run_id LIMIT ?",
            [*values, metric, limit],
        )
        if not rows:
            self.require_metric(metric)
        found = {run.run_id: run for run in self._runs("WHERE run_id IN (SELECT unnest(?))", [[run_id for run_id, *_ in rows]])}
        in_part = [run_id for run_id, _, of_training in rows if of_training and metric.startswith("validation/")]
        batches = self._evaluated_batches(in_part)
        return [Ranked(found[run_id], figure, of_training, batches.get(run_id)) for run_id, figure, of_training in rows]

    def tasks(
        self, metric: str, *, name: str | None = None, status: str | None = None, tag: str | None = None, task: str | None = None
    ) -> list[str]:
        """The kinds of task of the runs that `best` ranks by a metric, by name."""
        where, values = _conditions(name=name, status=status, tag=tag, task=task, smoke=False)
        query = f"SELECT DISTINCT task FROM run_summary JOIN runs USING (run_id) WHERE metric = ? AND {where} ORDER BY task"  # noqa: S608 - no text from outside
        return [row[0] for row in self._rows(query, [metric, *values])]

    def over_seeds(self, metric: str, goal: Literal["minimize", "maximize"], experiments: Sequence[str]) -> dict[str, Spread]:
        """By experiment, the figures that `best` ranks by, over the seeds and folds that ended well: of each the newest run."""
        value = ranking.value(goal)
        rows = self._rows(
            f"SELECT r.experiment, arg_max({value}, (r.started_at, r.run_id)), r.fold FROM run_summary AS s JOIN runs AS r USING (run_id)"  # noqa: S608 - no text from outside
            f" WHERE s.metric = ? AND NOT r.smoke AND isfinite({value}) AND list_contains(?, r.status)"
            " AND r.experiment IN (SELECT unnest(?)) GROUP BY r.experiment, r.fold, r.seed ORDER BY r.experiment, r.fold, r.seed",
            [metric, list(ENDED_WELL), list(experiments)],
        )
        groups = {name: list(group) for name, group in itertools.groupby(rows, key=lambda row: str(row[0]))}
        return {
            name: spread((value for _, value, _ in group), folds=len({fold for *_, fold in group} - {None}))
            for name, group in groups.items()
        }

    def cautions(self, metric: str, run_ids: Sequence[str]) -> list[Caution]:
        """Why these runs may not be ranked together by a metric; empty where they may."""
        rows = self._rows(
            "SELECT DISTINCT run_id, kind, key FROM steps WHERE kind IN ('data', 'tokenizer') AND run_id IN (SELECT unnest(?))"
            " UNION ALL SELECT run_id, 'task', task FROM runs WHERE run_id IN (SELECT unnest(?))"
            " UNION ALL SELECT run_id, 'fold', CAST(fold AS VARCHAR) FROM runs WHERE fold IS NOT NULL AND run_id IN (SELECT unnest(?))",
            [list(run_ids)] * 3,
        )
        return cautions(metric, rows)

    def sql(self, query: str, limit: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The answer to one SELECT: column names and rows, at most `limit`. Raises UsageError for anything else."""
        from specrun.records.ask import ask

        return ask(self._connection, query, limit)

    def metrics(self) -> list[str]:
        """Every metric that some run has recorded, by name."""
        return [row[0] for row in self._rows("SELECT DISTINCT metric FROM run_summary ORDER BY metric")]

    def require_metric(self, metric: str) -> None:
        """Raise UsageError `unknown-metric`, naming the nearest, when no run has recorded a metric."""
        require_known(metric, self.metrics())

    def _evaluated_batches(self, run_ids: Sequence[str]) -> dict[str, int]:
        """The most batches that an evaluation of training sees, of the runs that bound it."""
        query = (
            "SELECT run_id, try_cast(value AS BIGINT) AS batches FROM params"
            " WHERE path = 'schedule.evaluate.max_batches' AND batches IS NOT NULL AND run_id IN (SELECT unnest(?))"
        )
        return dict(self._rows(query, [list(run_ids)]))

    def _description(self, run_id: str) -> dict[str, Any]:
        """The fields of run.json that can be used: none of a damaged one, whose run still has its journals."""
        with contextlib.suppress(StoreError):
            return sound(self.document(run_id), RUN_FIELDS)
        return {}

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

    def _rows(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        from specrun.records.store import Error

        try:
            return self._connection.execute(query, values).fetchall()
        except Error as error:
            message = str(error).partition("\n")[0]
            hint = f"run `{command_on(self.store, 'store', 'rebuild')}`; no record is lost"
            raise StoreError(f"{self.store}: the snapshot cannot be read: {message}", code="snapshot-damaged", hint=hint) from error


def require_known(metric: str, known: Sequence[str]) -> None:
    """Raise UsageError `unknown-metric`, naming the nearest, or all where none is near, for a metric that is not among those known."""
    if metric not in known:
        near = difflib.get_close_matches(metric, known, n=3, cutoff=_ALIKE)
        there = f"recorded are: {', '.join(known)}" if known else "no run has recorded a metric yet"
        hint = f"nearest: {_some(near)}" if near else there
        raise UsageError(f"no run has recorded {metric!r}", code="unknown-metric", hint=hint)


def require_status(status: str | None) -> None:
    """Raise UsageError `unknown-status` for one that no run can have; None is every status."""
    if status is not None and status not in get_args(RunStatus):
        near = difflib.get_close_matches(status, get_args(RunStatus), n=1)
        hint = (f"did you mean {near[0]}? " if near else "") + f"one of: {', '.join(get_args(RunStatus))}"
        raise UsageError(f"no run can have the status {status!r}", code="unknown-status", hint=hint)


def require_order(order: str | None) -> str:
    """The key of ORDERS that is meant; None is the usual one. Raises UsageError `unknown-order`."""
    if order is None:
        return "started_at"
    if order not in ORDERS:
        raise UsageError(f"runs cannot be ordered by {order!r}", code="unknown-order", hint=f"one of: {', '.join(ORDERS)}")
    return order


def _run_row(row: tuple[Any, ...], metrics: dict[str, float]) -> RunRow:
    values = dict(zip(_RUN_COLUMNS.split(", "), row, strict=True))
    finished_at = values["finished_at"]
    return RunRow(
        **{
            **values,
            "started_at": _iso(values["started_at"]),
            "finished_at": None if finished_at is None else _iso(finished_at),
            "tags": tuple(values["tags"]),
            "experiment": values["experiment"] or "",
            "metrics": metrics,
        }
    )


def _conditions(*, name: str | None, status: str | None, tag: str | None, task: str | None, smoke: bool | None) -> tuple[str, list[Any]]:
    """A WHERE clause of the conditions that were given, and its values."""
    require_status(status)
    conditions = {
        "name = ?": name, "status = ?": status, "list_contains(tags, ?)": tag, "task = ?": task, "smoke = ?": smoke,
    }  # fmt: skip
    asked = {condition: value for condition, value in conditions.items() if value is not None}
    return " AND ".join(asked) or "true", list(asked.values())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _iso(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="milliseconds") + "Z"
