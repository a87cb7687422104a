"""Which run an apply works in: the one of the key of its first step, or one that ended before that key could be known.

A key can depend on what only the data step finds out (the commit of a dataset, whether the fallback stood in). A run that ended
before is kept under the key that was known then, and is the run of whichever key it turns out to be.
"""

from __future__ import annotations

from specrun.engine.plan import Plan
from specrun.engine.workspace import Workspace
from specrun.errors import StoreError
from specrun.plan.step import Step
from specrun.records.run_files import read_run


def run_to_begin(prepared: Plan, step: Step) -> str:
    """Id of the run whose first step is about to run. It is found under that step's key from now on."""
    workspace, first_key = prepared.workspace, prepared.first_keys[step.id]
    if workspace.run_of_key(step.key) is None and _waits(workspace, workspace.run_of_key(first_key)):
        workspace.move_run(first_key, step.key)
    return workspace.run_for(prepared.name, step.key)


def run_to_record(prepared: Plan, step: Step) -> str:
    """Id of the run that ended before its first step could run. A new one is kept under the key that any later apply knows first."""
    workspace, first_key = prepared.workspace, prepared.first_keys[step.id]
    if workspace.run_of_key(step.key) is not None:
        return workspace.run_for(prepared.name, step.key)
    known = workspace.run_of_key(first_key)
    return workspace.run_for(prepared.name, first_key if known is None or _waits(workspace, known) else step.key)


def _waits(workspace: Workspace, run_id: str | None) -> bool:
    """Whether a run's data has never been ready. One whose record is damaged is left alone."""
    if run_id is None:
        return False
    try:
        document = read_run(workspace.runs / run_id)
    except StoreError:
        return False
    return document is not None and document.get("data_ready") is False
