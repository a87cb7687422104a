"""`specrun runs`: list, show, best, tag, remove."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.cli.run_choice import RUN_HELP, choose, choose_only
from specrun.cli.run_table import print_best, print_runs
from specrun.cli.run_text import show_text
from specrun.engine.workspace import Workspace
from specrun.errors import StoreError, UsageError
from specrun.events import RunStatus
from specrun.records.changes import change_tags, not_begun, remove_run
from specrun.records.lines import flag_non_finite
from specrun.records.place import check_place, smoke_stores
from specrun.records.queries import Records, open_records
from specrun.records.rows import RunRow, Spread
from specrun.records.run_files import is_alive
from specrun.records.seeds import metric_spreads, told, unfinished
from specrun.records.several import runs_of_stores
from specrun.spec.metrics import goal_of
from specrun.spec.own_path import is_own
from specrun.spec.task_options import Goal as Way
from specrun.spec.visible import visible, visible_line

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False, help="List, show, tag or remove recorded runs.")

RunId = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP, show_default=False)]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this name.")]
Status = Annotated[str | None, typer.Option(metavar="STATUS", help=f"Only runs with this status: {', '.join(get_args(RunStatus))}.")]
Tag = Annotated[str | None, typer.Option(metavar="TAG", help="Only runs with this tag.")]
Task = Annotated[str | None, typer.Option(metavar="TASK", help="Only runs of this kind of task.")]


class Goal(StrEnum):
    """Which way a metric is better."""

    minimize = "minimize"
    maximize = "maximize"


@app.command("list")
def list_(
    store: Store = DEFAULT_STORE,
    json_: Json = False,
    name: Name = None,
    status: Status = None,
    tag: Tag = None,
    task: Task = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Smoke runs instead of real ones.")] = False,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", metavar="METRIC", help="A metric to show; repeatable.", show_default=False)
    ] = None,
    order: Annotated[str | None, typer.Option(metavar="ORDER", help="started_at (newest first), name, duration or status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 50,
) -> None:
    """List runs, newest first. TIME is the wall time of all attempts, without the report."""
    check_place(store)
    stores = [place for place in ([store, *smoke_stores(store)] if smoke else [store]) if (place / "runs").is_dir()]
    found = runs_of_stores(
        stores, metrics=metrics or (), name=name, status=status, tag=tag, task=task, smoke=smoke, order=order, limit=limit + 1
    )
    shown = found[:limit]
    over_folds = _over_folds([row for row, _ in shown], store)
    if json_:
        documents = [{**_summary(row), **({"store": str(place)} if smoke else {})} for row, place in shown]
        _print_json({"format_version": 1, "runs": documents, "over_folds": over_folds, "truncated": len(found) > limit})
    elif shown:
        places = [str(place) for _, place in shown] if smoke else None
        print_runs([row for row, _ in shown], metrics=metrics, places=places)
        for each in over_folds:
            print(visible_line(f"{each['name']}: {each['text']}"))
    else:
        print(visible_line(_nothing(store, smoke=smoke, filtered=any((name, status, tag, task)))))
    if len(found) > limit:
        print(f"the first {'run' if limit == 1 else f'{limit} runs'}; --limit shows more", file=sys.stderr)


def _over_folds(rows: Sequence[RunRow], store: Path) -> list[dict[str, Any]]:
    """What the finished folds of each cross-validation say together that some of the runs are of."""
    of_each = {row.experiment: row for row in rows if row.fold is not None and not row.smoke}
    if not of_each:
        return []
    with open_records(store) as records:
        found = [(row, records.experiment(row)) for row in of_each.values()]
    return [
        {
            "name": row.name,
            "experiment": row.experiment,
            "folds": row.folds,
            "runs": [run.run_id for run in runs],
            "metrics": {name: asdict(value) for name, value in metric_spreads(runs).items()},
            "text": told(metric_spreads(runs), aside=unfinished(row, runs)),
        }
        for row, runs in found
        if len(runs) > 1
    ]


def _nothing(store: Path, *, smoke: bool, filtered: bool) -> str:
    if filtered:
        return f"no such runs in {store}"
    if smoke:
        return f"no smoke runs in {store}"
    return f"no runs yet in {store}" + ("; --smoke lists its smoke runs" if smoke_stores(store) else "")


@app.command()
def show(run: RunId, store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Show what one run was, did and gave."""
    with open_records(store) as records:
        row = choose(records, run)
        run_id = row.run_id
        seeds = records.experiment(row)
        document: dict[str, Any] = {
            "format_version": 1,
            **_summary(row),
            "best": [asdict(line) for line in records.summary(run_id)],
            "attempts_made": [asdict(attempt) for attempt in records.attempts(run_id)],
            "steps": [asdict(step) for step in records.steps(run_id)],
            "alerts": [asdict(alert) for alert in records.alerts(run_id)],
            "artifacts": [asdict(artifact) for artifact in records.artifacts(run_id)],
            "seeds": [{"run_id": other.run_id, "seed": other.seed, "fold": other.fold} for other in seeds],
            "over_seeds": {name: asdict(value) for name, value in metric_spreads(seeds).items()},
            "params": records.params(run_id),
            "document": _undamaged(records.document, run_id) or {},
            "final": _undamaged(records.final, run_id),
            "folder": str(store / "runs" / run_id),
        }
    if json_:
        _print_json(document)
    else:
        print(show_text(document))


def _undamaged(read: Callable[[str], dict[str, Any] | None], run_id: str) -> dict[str, Any] | None:
    """A document; a damaged one is said, and the rest of the run is shown."""
    try:
        return read(run_id)
    except StoreError as error:
        print(visible(f"warning: {error}"), file=sys.stderr)
        return None


@app.command()
def best(
    metric: Annotated[str | None, typer.Argument(metavar="METRIC", help="For example validation/loss.", show_default=False)] = None,
    store: Store = DEFAULT_STORE,
    json_: Json = False,
    goal: Annotated[
        Goal | None, typer.Option(help="Which way is better; absent: the one that the runs' task declares.", show_default=False)
    ] = None,
    name: Name = None,
    status: Status = None,
    tag: Tag = None,
    task: Task = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 10,
) -> None:
    """Rank runs by a metric, as their ends reported it; runs that have not come to theirs, by its best value in training.

    Several seeds and folds of one experiment are shown with their mean and standard deviation. Warns where the runs are not comparable
    by the metric: several tasks, data sets, or, for a figure a token, tokenizers.
    """
    with open_records(store) as records:
        if metric is None:
            raise UsageError("which metric?", code="no-metric", hint=f"recorded: {', '.join(records.metrics()) or 'none yet'}")
        tasks = records.tasks(metric, name=name, status=status, tag=tag, task=task)
        if not tasks:
            records.require_metric(metric)
        way = goal.value if goal else _goal(metric, {task: _declares(records, task) for task in tasks}) if tasks else None
        found = records.best(metric, way, limit, name=name, status=status, tag=tag, task=task) if way else []
        over_seeds = records.over_seeds(metric, way, [ranked.run.experiment for ranked in found]) if way else {}
        cautions = records.cautions(metric, [ranked.run.run_id for ranked in found])
    for caution in cautions:
        print(f"warning: {caution.code}: {caution.message}", file=sys.stderr)
    if json_:
        runs = [
            {
                **_summary(ranked.run),
                **{name: getattr(ranked, name) for name in ("value", "in_training", "batches")},
                "over_seeds": _spread(over_seeds.get(ranked.run.experiment)),
            }
            for ranked in found
        ]
        warnings = [asdict(caution) for caution in cautions]
        _print_json({"format_version": 1, "metric": metric, "goal": way, "runs": runs, "warnings": warnings})
    elif found:
        print_best(found, metric, over_seeds)
    else:
        print(visible_line(f"no such runs in {store}"))


def _declares(records: Records, task: str) -> object:
    """What the newest run of a task of a user's own has recorded of it."""
    rows = records.runs(task=task) if is_own(task) else ()
    return next((said for row in rows if (said := records.document(row.run_id).get("declares"))), None)


def _goal(metric: str, tasks: Mapping[str, object]) -> Way:
    """Which way every one of the tasks says that a metric is better. tasks: with what was recorded of them. Raises UsageError
    `goal-not-known`."""
    ways = {goal_of(metric, task, recorded) for task, recorded in tasks.items()}
    way = ways.pop() if len(ways) == 1 else None
    if way is None:
        names = ", ".join(tasks)
        why = f"the tasks of these runs ({names}) do not declare it alike" if len(tasks) > 1 else f"{names} does not declare it"
        message = f"which way is {metric} better? {why}"
        raise UsageError(message, code="goal-not-known", hint="say it with --goal minimize or --goal maximize")
    return way


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    return None if spread is None else asdict(spread)


@app.command()
def tag(
    run: RunId,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Tags to add.", show_default=False)] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to take away; repeatable.")] = None,
    store: Store = DEFAULT_STORE,
    json_: Json = False,
) -> None:
    """Add tags to a run, or take some away."""
    with open_records(store) as records:
        row = choose(records, run)
    absent = sorted(set(remove or ()) - set(row.tags))
    if absent:
        hint = f"its tags: {', '.join(row.tags)}" if row.tags else "it has no tags"
        raise UsageError(f"{row.run_id} has no tag {absent[0]!r}", code="unknown-tag", hint=hint)
    now = row.tags
    if tags or remove:
        change_tags(store, row.run_id, add=tags or (), remove=remove or ())
        with open_records(store) as records:
            now = records.run(row.run_id).tags
    if json_:
        _print_json({"format_version": 1, "run_id": row.run_id, "tags": list(now)})
    else:
        print(f"{row.run_id}: {visible_line(', '.join(now)) or 'no tags'}")


@app.command()
def remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Ids, their beginnings, or names that one run has.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Store = DEFAULT_STORE,
    json_: Json = False,
) -> None:
    """Delete runs: their records, checkpoints and reports. Results that several runs share stay."""
    with open_records(store) as records:
        empty = not_begun(store)
        found = sorted({run if run in empty else choose_only(records, run).run_id for run in runs})
    living = [run_id for run_id in found if is_alive(store, run_id)]
    if living:
        raise UsageError(f"{', '.join(living)}: still running", code="run-is-alive", hint="stop its process first; nothing was removed")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"this deletes {', '.join(found)} for good", code="not-confirmed", hint="say so with --yes; nothing was removed"
            )
        if not typer.confirm(f"Delete {', '.join(found)} for good?", err=True):
            found = []
            print("nothing was removed", file=sys.stderr)
    workspace = Workspace(store)
    for run_id in found:
        remove_run(store, run_id)
        workspace.forget_run(run_id)
    if json_:
        _print_json({"format_version": 1, "removed": found})
    elif found:
        print(f"removed {', '.join(found)}")


def _summary(row: RunRow) -> dict[str, Any]:
    return {**asdict(row), "tags": list(row.tags), "metrics": dict(row.metrics)}


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(flag_non_finite(document), indent=2, ensure_ascii=False, default=str))
