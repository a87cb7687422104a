"""`specrun data`: what a run would be trained on, before anything is trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from specrun.cli import options
from specrun.errors import EXIT_OK, UsageError


def run(
    spec: options.SpecPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Page with plots to write, .html.")] = None,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    data_root: options.DataRoot = None,
    allow_code: options.AllowCode = [],  # noqa: B006 - typer copies it
    store: options.Store = options.DEFAULT_STORE,
    as_json: options.Json = False,
) -> int:
    """Look at the data of a spec."""
    from specrun.cli import planned
    from specrun.cli.data_text import data_text, headline
    from specrun.cli.progress import progress
    from specrun.cli.report import refuse_stripped
    from specrun.engine.data_view import look_at_data
    from specrun.engine.plan import Request
    from specrun.engine.prepare import prepare_one

    if output is not None:
        refuse_stripped()
        _refuse_place(output)
    prepared = prepare_one(Request(spec, store, tuple(set_), preset, data_root, allow_code=tuple(allow_code)))
    planned.warn(prepared)
    with progress(sys.stderr) as show:
        view = look_at_data(prepared, show=show)
    if output is not None:
        from specrun.report.data_page import write_data_page

        write_data_page(output, view.document, headline=headline(view.document))
    exit_code = view.failure.exit_code if view.failure is not None else EXIT_OK
    if as_json:
        page = None if output is None else str(output)
        print(json.dumps({**view.document, "page": page, "exit_code": exit_code}, indent=2, ensure_ascii=False))
    else:
        print(data_text(view.document))
        if output is not None:
            print(f"page: {output}")
    if view.failure is not None:
        print(view.failure, file=sys.stderr)
    return exit_code


def _refuse_place(output: Path) -> None:
    """Raise UsageError where no page can be written, before anything is read."""
    if output.suffix.lower() != ".html":
        raise UsageError(f"-o {output}: the page is HTML", code="unknown-format", hint=f"use -o {output.with_suffix('.html')}")
    if output.is_dir() or not output.parent.is_dir():
        what = f"{output} is a folder" if output.is_dir() else f"{output.parent} is not a folder"
        raise UsageError(f"{what}, so no page can be written there", code="missing-folder", hint="choose another place for -o")
