"""`specrun report`: writes the report of a run again from its records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.cli.run_choice import RUN_HELP, choose
from specrun.errors import StoreError, UsageError

RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help=f"{RUN_HELP} Absent means the newest of all.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="Folder to write to; absent means the run's own.", show_default=False)]
Formats = Annotated[str | None, typer.Option("--format", help="html, md or both with a comma; absent means what the run was asked for.")]


def run(run: RunId = None, output: Output = None, format_: Formats = None, store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Write the report of a run again."""
    asked = _formats(format_) if format_ is not None else None
    from specrun.records.queries import open_records
    from specrun.report.render import render
    from specrun.report.run_view import run_view

    with open_records(store) as records:
        if run is None:
            newest = records.runs(limit=1)
            if not newest:
                raise StoreError(f"{store} holds no runs yet", code="no-runs", hint="train one first: specrun apply SPEC")
            run_id = newest[0].run_id
        else:
            run_id = choose(records, run).run_id
        results = _results(store, {step.kind: step.key for step in records.steps(run_id)})
        earlier = results.get("report", {})
        view = run_view(records, run_id, results=results, title=earlier.get("title"))
    formats = asked or tuple(earlier.get("formats", ("html", "md")))
    folder = output or store / "runs" / run_id / "report"
    written = render(view, formats, folder)
    if json_:
        print(json.dumps({"format_version": 1, "run_id": run_id, "reports": {name: str(path) for name, path in written.items()}}, indent=2))
    else:
        for path in written.values():
            print(path)


def _formats(text: str) -> tuple[str, ...]:
    """The formats in a comma-separated list, each once. Raises UsageError for one that does not exist."""
    from specrun.report.render import FILES

    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    unknown = [name for name in names if name not in FILES]
    if unknown or not names:
        raise UsageError(
            f"--format {text!r}: {'names no format' if not names else f'there is no format {unknown[0]!r}'}",
            code="unknown-format",
            hint=f"use {', '.join(FILES)} or {','.join(FILES)}",
        )
    return names


def _results(store: Path, keys: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """What the run's finished steps left, by kind; a step whose result is gone is left out."""
    from specrun.engine.workspace import Workspace

    workspace = Workspace(store)
    found = {kind: workspace.result(kind, key) for kind, key in keys.items()}
    return {kind: result.values for kind, result in found.items() if result is not None}
