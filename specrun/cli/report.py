"""`specrun report`: writes the report of a run again from its records."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from specrun.cli.options import DEFAULT_STORE, Json, Store
from specrun.cli.run_choice import RUN_HELP, choose
from specrun.errors import SpecrunError, StoreError, UsageError
from specrun.spec.visible import visible_line

if TYPE_CHECKING:
    from specrun.records.queries import Records

RunId = Annotated[str | None, typer.Argument(metavar="RUN", help=f"{RUN_HELP} Absent means the newest of all.")]


def _folder(text: str) -> Path:
    if not text.strip():
        raise UsageError("-o is empty", code="not-a-folder", hint="name a folder, such as -o report; for this folder: -o .")
    return Path(text)


Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", parser=_folder, metavar="DIR", help="Folder to write to; absent means the run's own.", show_default=False
    ),
]
Formats = Annotated[
    str | None, typer.Option("--format", metavar="FORM", help="html, md or both with a comma; absent means what the run was asked for.")
]


def run(run: RunId = None, output: Output = None, format_: Formats = None, store: Store = DEFAULT_STORE, json_: Json = False) -> None:
    """Write the report of a run again."""
    refuse_stripped()
    asked = _formats(format_) if format_ is not None else None
    if output is not None:
        _refuse_place(output)
    from specrun.records.queries import open_records
    from specrun.report.render import render
    from specrun.report.run_view import run_view

    with open_records(store) as records:
        run_id = _newest(records) if run is None else choose(records, run).run_id
        results = _results(store, {step.kind: step.key for step in records.steps(run_id)})
        earlier = results.get("report", {})
        view = run_view(records, run_id, results=results, title=earlier.get("title"))
    formats = asked or tuple(earlier.get("formats", ("html", "md")))
    folder = output or store / "runs" / run_id / "report"
    try:
        written = render(view, formats, folder)
    except StoreError as error:
        if output is None and error.code == "store-not-writable":
            raise StoreError(error.message, code=error.code, hint="write it into another folder, such as -o report") from error
        raise
    if json_:
        print(json.dumps({"format_version": 1, "run_id": run_id, "reports": {name: str(path) for name, path in written.items()}}, indent=2))
    else:
        for path in written.values():
            print(visible_line(str(path)))


def _newest(records: Records) -> str:
    newest = records.runs(limit=1)
    if not newest:
        raise StoreError(f"{records.store} holds no runs yet", code="no-runs", hint="train one first: specrun apply SPEC")
    return newest[0].run_id


def refuse_stripped() -> None:
    """Raise SpecrunError where Python took the docstrings away: Altair, which draws the charts, builds its classes from them."""
    if sys.flags.optimize > 1:
        raise SpecrunError("charts cannot be drawn under PYTHONOPTIMIZE=2 (python -OO)", code="docstrings-stripped",
                           hint="run it again with PYTHONOPTIMIZE=1 or without")  # fmt: skip


def _refuse_place(output: Path) -> None:
    """Raise UsageError where a report's folder cannot be, before anything is read or drawn."""
    place = next((place for place in (output, *output.parents) if place.exists() or place.is_symlink()), output)
    if str(output) == "-":
        fact, other = "a report is several files, which standard output cannot take", Path("report")
    elif place.is_dir() or not (place.exists() or place.is_symlink()):
        return
    else:
        what = "a file" if place.exists() else "a link to nothing"
        fact, other = f"{place} is {what}, and a report is written into a folder", place.with_name(f"{place.stem}-report")
    raise UsageError(fact, code="not-a-folder", hint=f"name a folder, such as -o {other}")


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
