"""`specrun plan`: what apply would do, and what it would cost."""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from specrun.cli import options
from specrun.errors import EXIT_CHANGES, EXIT_OK, UsageError
from specrun.spec.visible import visible


def run(
    spec: options.SpecPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save the plan, for apply.")] = None,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 6 where something would run.")] = False,
    resume: options.Resume = None,
    fork: options.Fork = False,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    data_root: options.DataRoot = None,
    allow_code: options.AllowCode = [],  # noqa: B006 - typer copies it
    store: options.Store = options.DEFAULT_STORE,
    as_json: options.Json = False,
) -> int:
    """Plan a spec."""
    from specrun.cli import planned
    from specrun.cli.output import columns_of
    from specrun.engine.continuing import check_resume
    from specrun.engine.plan import Request, spec_options
    from specrun.engine.planfile import write_plan
    from specrun.engine.prepare import prepare
    from specrun.plan.explain import WIDTH

    if output is not None:
        _refuse_place(output)
    check_resume(resume, fork=fork)
    prepared = prepare(Request(spec, store, tuple(set_), preset, data_root, resume=resume, fork=fork, allow_code=tuple(allow_code)))
    planned.warn(prepared)
    if output is not None:
        write_plan(prepared, output)
    exit_code = EXIT_CHANGES if detailed_exitcode and prepared.changes_anything else EXIT_OK
    if as_json:
        print(json.dumps({**prepared.as_document(), "exit_code": exit_code}, indent=2, ensure_ascii=False))
    else:
        print(visible(prepared.text(columns=columns_of(sys.stdout, at_most=WIDTH))))
        if output is not None:
            words = ["specrun", "apply", str(output), *spec_options(allow_code=allow_code)]
            print(visible(f"plan saved: {output}; run it with: {shlex.join(words)}"))
    return exit_code


def _refuse_place(output: Path) -> None:
    """Raise UsageError where saving a plan would destroy another file, or cannot work. An empty file holds nothing to lose."""
    from specrun.engine.planfile import is_plan

    if str(output) == "-":
        raise UsageError("-o -: a plan is saved to a file that apply can read again", code="plan-to-standard-output",
                         hint="name a file, such as -o plan.json; --json prints the plan for other programs")  # fmt: skip
    if output.exists():
        if not is_plan(output) and (not output.is_file() or output.stat().st_size):
            what = "a folder" if output.is_dir() else "not a saved plan, and would be overwritten"
            raise UsageError(
                f"{output} is {what}", code="would-overwrite", hint=f"give a new name, such as -o {shlex.quote(str(_other_name(output)))}"
            )
    elif not output.parent.is_dir():
        raise UsageError(f"{output.parent} is not a folder, so no plan can be saved in it", code="missing-folder",
                         hint=f"make it with: mkdir -p {shlex.quote(str(output.parent))}; or choose another place for -o")  # fmt: skip
    if not os.access(output.parent, os.W_OK):
        raise UsageError(f"{output.parent} cannot be written, so no plan can be saved in it", code="unwritable-folder",
                         hint=f"choose another place, such as -o {shlex.quote(str(Path(tempfile.gettempdir(), output.name)))}")  # fmt: skip


def _other_name(output: Path) -> Path:
    return output / "plan.json" if output.is_dir() else output.with_name(f"{output.stem}.plan.json")
