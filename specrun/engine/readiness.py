"""What must hold once the data is ready and before any run is opened: a mistake found here costs no training and no finished run."""

from __future__ import annotations

from collections.abc import Mapping

from specrun.engine.plan import Plan
from specrun.engine.shared import SharedStepEnded
from specrun.errors import SpecrunError
from specrun.plan.step import StepResult
from specrun.runtime.factory import load_factory


def check_ready(prepared: Plan, shared: Mapping[str, StepResult]) -> None:
    """Ask the task whether it can do what the spec asks with this data. Raises SharedStepEnded with what it says."""
    kinds, check = prepared.kinds, getattr(prepared.loaded.spec.task, "ready", None)
    working = [d.step for d in prepared.decisions if d.action in ("run", "resume") and d.step.seed is not None]
    if check is None or all(kinds[step.kind].describes_run for step in working):
        return
    folders = {kind: prepared.workspace.store / result.folder for kind, result in shared.items()}
    try:
        load_factory(check)(prepared.loaded.spec.task, folders=folders)
    except SpecrunError as error:
        raise SharedStepEnded(error, prepared, shared) from error
