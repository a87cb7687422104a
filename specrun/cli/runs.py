"""`specrun runs`: list, show, best, tag, remove."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.cli.run_text import show_text
from specrun.cli.tables import clock, figure, plain, table
from specrun.errors import UsageError
from specrun.records.changes import remove_run, set_tags
from specrun.records.lines import flag_non_finite
from specrun.records.queries import open_records
from specrun.records.rows import RunRow
from specrun.records.run_files import is_alive

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, add_completion=False, help="List, show, tag or remove recorded runs.")

RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the beginning of it.", show_default=False)]


class Goal(StrEnum):
    """Which way a metric is better."""

    minimize = "minimize"
    maximize = "maximize"


@app.command("list")
def list_(
    store: Store = DEFAULT_STORE,
    json_: Json = False,
    name: Annotated[str | None, typer.Option(help="Only runs of this name.")] = None,
    status: Annotated[str | None, typer.Option(help="Only runs with this status.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None,
    task: Annotated[str | None, typer.Option(help="Only runs of this kind of task.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Smoke runs instead of real ones.")] = False,
    order: Annotated[str | None, typer.Option(help="started_at (newest first), name, duration or status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 50,
) -> None:
    """List runs, newest first."""
    rows: list[RunRow] = []
    if (store / "runs").is_dir():
        with open_records(store) as records:
            rows = records.runs(name=name, status=status, tag=tag, task=task, smoke=smoke, order=order, limit=limit + 1)
    shown = rows[:limit]
    if json_:
        _print_json({"format_version": 1, "runs": [_summary(row) for row in shown]})
    elif shown:
        print(table(("RUN", "STATUS", "STARTED", "TIME", "TASK", "TAGS", "METRICS"), [_line(row) for row in shown]))
    else:
        print(f"no runs yet in {store}" if not any((name, status, tag, task, smoke)) else f"no such runs in {store}")
    if len(rows) > limit:
        print(f"the first {limit} runs; --limit shows more", file=sys.stderr)


@app.command()
def show(run: RunId, store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Show what one run was, did and gave."""
    with open_records(store) as records:
        row = records.run(run)
        run_id = row.run_id
        document: dict[str, Any] = {
            "format_version": 1,
            **_summary(row),
            "best": [asdict(line) for line in records.summary(run_id)],
            "steps": [asdict(step) for step in records.steps(run_id)],
            "alerts": [asdict(alert) for alert in records.alerts(run_id)],
            "artifacts": [asdict(artifact) for artifact in records.artifacts(run_id)],
            "params": records.params(run_id),
            "document": records.document(run_id),
            "final": records.final(run_id),
            "folder": str(store / "runs" / run_id),
        }
    if json_:
        _print_json(document)
    else:
        print(show_text(document))


@app.command()
def best(
    metric: Annotated[str, typer.Argument(help="For example validation/loss.", show_default=False)],
    store: Store = DEFAULT_STORE,
    json_: Json = False,
    goal: Annotated[
        Goal | None, typer.Option(help="Which way is better; absent: more accuracy and throughput, less of all else.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 10,
) -> None:
    """The runs with the best value of a metric at any step."""
    if goal is None:
        goal = Goal.maximize if metric.endswith("/accuracy") or (metric.startswith("throughput/") and "second" in metric) else Goal.minimize
        goal = Goal.minimize if metric == "throughput/step_seconds" else goal
    with open_records(store) as records:
        found = records.best(metric, goal.value, limit)
    if json_:
        _print_json(
            {"format_version": 1, "metric": metric, "goal": goal.value, "runs": [{**_summary(row), "value": v} for row, v in found]}
        )
    else:
        rows = [
            (place, row.run_id, value, row.status if row.comparable else f"{row.status}, not comparable", ", ".join(row.tags))
            for place, (row, value) in enumerate(found, start=1)
        ]
        print(table(("", "RUN", metric, "STATUS", "TAGS"), rows))


@app.command()
def tag(
    run: RunId,
    tags: Annotated[list[str] | None, typer.Argument(metavar="[TAG]...", help="Tags to add.", show_default=False)] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="A tag to take away; repeatable.")] = None,
    store: Store = DEFAULT_STORE,
    json_: Json = False,
) -> None:
    """Add tags to a run, or take some away."""
    with open_records(store) as records:
        row = records.run(run)
    absent = sorted(set(remove or ()) - set(row.tags))
    if absent:
        hint = f"its tags: {', '.join(row.tags)}" if row.tags else "it has no tags"
        raise UsageError(f"{row.run_id} has no tag {absent[0]!r}", code="unknown-tag", hint=hint)
    now = row.tags
    if tags or remove:
        now = set_tags(store, row.run_id, (set(row.tags) | set(tags or ())) - set(remove or ()))
    if json_:
        _print_json({"format_version": 1, "run_id": row.run_id, "tags": list(now)})
    else:
        print(f"{row.run_id}: {plain(', '.join(now)) or 'no tags'}")


@app.command()
def remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids, or their beginnings.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    store: Store = DEFAULT_STORE,
    json_: Json = False,
) -> None:
    """Delete runs: their records, checkpoints and reports. Results that several runs share stay."""
    with open_records(store) as records:
        found = sorted({records.run(run).run_id for run in runs})
    living = [run_id for run_id in found if is_alive(store, run_id)]
    if living:
        raise UsageError(f"{', '.join(living)}: still running", code="run-is-alive", hint="stop its process first; nothing was removed")
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                f"this deletes {', '.join(found)} for good", code="not-confirmed", hint="say so with --yes; nothing was removed"
            )
        typer.confirm(f"Delete {', '.join(found)} for good?", abort=True, err=True)
    for run_id in found:
        remove_run(store, run_id)
    if json_:
        _print_json({"format_version": 1, "removed": found})
    else:
        print(f"removed {', '.join(found)}")


def _summary(row: RunRow) -> dict[str, Any]:
    return {**asdict(row), "tags": list(row.tags), "metrics": dict(row.metrics)}


def _line(row: RunRow) -> tuple[str, ...]:
    return (
        row.run_id,
        row.status,
        row.started_at[:16].replace("T", " "),
        clock(row.duration_s),
        row.task,
        ", ".join(row.tags),
        ", ".join(f"{name} {figure(row.metrics[name])}" for name in _headline(row)),
    )


def _headline(row: RunRow) -> list[str]:
    """At most two metrics that say how good a run is: what it was tested on, else validated, else trained."""
    for split in ("test/", "validation/", "train/loss"):
        names = sorted(name for name in row.metrics if name.startswith(split))
        if names:
            return sorted(names, key=lambda name: (not name.endswith(("/loss", "/perplexity", "/accuracy")), name))[:2]
    return []


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(flag_non_finite(document), indent=2, ensure_ascii=False, default=str))
