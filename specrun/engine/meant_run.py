"""Which run is meant by what a person gave as one, before anything is trained: nothing here opens the index of the records."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from specrun.engine.workspace import Workspace
from specrun.errors import StoreError, UsageError
from specrun.records.labels import given
from specrun.records.place import command_on
from specrun.records.run_files import read_run

_LISTED = 6


def meant_run(workspace: Workspace, run: str) -> str:
    """The id of the one run that can be meant: by its id, its name, or the beginning of its id.

    A name that several have is refused: the newest of them may be the very one that goes on from the run that is meant.
    Raises: UsageError `ambiguous-run` or `unknown-run`.
    """
    folders = sorted(path for path in workspace.runs.glob("*") if path.is_dir())
    if any(folder.name == run for folder in folders):
        return run
    named = [folder.name for folder in folders if run and _name(folder) == run]
    found = named or [folder.name for folder in folders if run and folder.name.startswith(run)]
    if len(found) == 1:
        return found[0]
    hint = f"see the runs with: {command_on(workspace.store, 'runs', 'list')}"
    if not found:
        raise UsageError(f"--resume {run}: there is no such run", code="unknown-run", hint=hint)
    listed = ", ".join(found[:_LISTED]) + (f" and {len(found) - _LISTED} more" if len(found) > _LISTED else "")
    what = f"is the name of {len(found)} runs" if named else f"is the beginning of {len(found)} ids"
    raise UsageError(f"--resume {run}: that {what}: {listed}", code="ambiguous-run", hint=f"give the id of one; {hint}")


def _name(folder: Path) -> str | None:
    """The name that a run has now. None where its records are damaged."""
    with suppress(StoreError):
        return given(folder).name or (read_run(folder) or {}).get("name")
    return None
