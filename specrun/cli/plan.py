"""`specrun plan`: what apply would do, and what it would cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from specrun.cli import options
from specrun.errors import EXIT_CHANGES, EXIT_OK


def run(
    spec: options.SpecPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save the plan, for apply.")] = None,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 6 where something would run.")] = False,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    data_root: options.DataRoot = None,
    store: options.Store = options.DEFAULT_STORE,
    as_json: options.Json = False,
) -> int:
    """Plan a spec."""
    from specrun.cli import planned
    from specrun.engine.planfile import write_plan
    from specrun.engine.prepare import Request, prepare

    prepared = prepare(Request(spec, store, tuple(set_), preset, data_root))
    planned.warn(prepared)
    if output is not None:
        write_plan(prepared, output)
    if as_json:
        print(json.dumps(planned.document(prepared), indent=2))
    else:
        print("\n".join(planned.lines(prepared)))
        if output is not None:
            print(f"plan saved: {output}; run it with: specrun apply {output}")
    return EXIT_CHANGES if detailed_exitcode and prepared.changes_anything else EXIT_OK
