"""`specrun apply`: plan and run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from specrun.cli import options
from specrun.spec.visible import visible

if TYPE_CHECKING:
    from specrun.engine.outcome import Outcome


def run(
    context: typer.Context,
    spec: Annotated[
        str, typer.Argument(metavar="SPEC|PLANFILE", help="A spec, a saved plan, or - for standard input.", show_default=False)
    ],
    smoke: Annotated[bool, typer.Option("--smoke", help="Every step on two tiny batches, kept apart from real history.")] = False,
    resume: options.Resume = None,
    fork: options.Fork = False,
    set_: options.Set = [],  # noqa: B006 - typer copies it
    preset: options.Preset = None,
    data_root: options.DataRoot = None,
    allow_code: options.AllowCode = [],  # noqa: B006 - typer copies it
    store: options.Store = options.DEFAULT_STORE,
    as_json: options.Json = False,
) -> int:
    """Apply a spec or a saved plan."""
    from specrun.cli import planned
    from specrun.cli.output import columns_of
    from specrun.cli.progress import progress
    from specrun.engine.continuing import check_resume
    from specrun.engine.execute import execute
    from specrun.engine.executors.nodes import this_node
    from specrun.engine.plan import Request
    from specrun.engine.planfile import is_plan, prepare_plan
    from specrun.engine.prepare import prepare
    from specrun.errors import UsageError
    from specrun.plan.explain import WIDTH

    if is_plan(Path(spec)):
        source = context.get_parameter_source("data_root")
        # The environment's data root holds for every command; the plan has its own.
        if set_ or preset or smoke or resume or fork or (source is not None and source.name == "COMMANDLINE"):
            raise UsageError(f"{spec} is a saved plan; what it was made with cannot be changed now", code="options-with-plan-file",
                             hint="give the options to plan instead")  # fmt: skip
        prepared = prepare_plan(Path(spec), store=store, command=context.obj, allow_code=tuple(allow_code))
    else:
        check_resume(resume, fork=fork, smoke=smoke)
        prepared = prepare(
            Request(spec, store, tuple(set_), preset, data_root, smoke, command=context.obj, resume=resume, fork=fork,
                    allow_code=tuple(allow_code))
        )  # fmt: skip
    node = this_node(prepared.hardware.nodes)
    planned.warn(prepared)
    if prepared.changes_anything:
        prepared.workspace.prepare()  # before anything is said of what would be done: without a store, nothing would
        if node.rank == 0:  # the others do none of it by themselves
            print(visible("\n".join([*prepared.lines(columns=columns_of(sys.stderr, at_most=WIDTH)), ""])), file=sys.stderr)
    with progress(sys.stderr) as show:
        outcome = execute(prepared, show=show)
    print(json.dumps(outcome.as_document(), indent=2) if as_json else visible(str(outcome)))
    for text, subjects in _failures(outcome).items():
        print(visible(f"{', '.join(subjects)}: {text}"), file=sys.stderr)
    return outcome.exit_code


def _failures(outcome: Outcome) -> dict[str, list[str]]:
    """What failed, each once, with the runs that it failed. A run that has ended well stays so, whatever became of its report."""
    found: dict[str, list[str]] = {}
    for one in outcome.runs:
        if one.error:
            found.setdefault(str(one.error), []).append(f"the report of {one.run_id}" if one.failed_after_end else one.run_id)
    return found
