"""What must hold once the data is ready and before any run is opened: a mistake found here costs no training and no finished run."""

from __future__ import annotations

from collections.abc import Mapping

from specrun.engine.plan import Plan
from specrun.engine.prepare import fitting
from specrun.engine.shared import SharedStepEnded
from specrun.errors import SpecError, SpecrunError
from specrun.events import Alert, Emit
from specrun.plan.step import StepResult
from specrun.runtime.factory import load_factory
from specrun.spec.diagnostics import errors


def check_ready(prepared: Plan, shared: Mapping[str, StepResult], *, show: Emit) -> Plan:
    """Ask whether the training fits the memory, and the task whether it can do what the spec asks with this data.

    Returns the plan with the warnings that came up only now, which are shown. Raises SharedStepEnded with what must not be.
    """
    try:
        ready = fitting(prepared)
        _ask_task(prepared, shared)
    except SpecError as error:
        first = errors(error.diagnostics)[0]
        refusal = SpecrunError(first.message, code=first.code, hint=first.hint)
        raise SharedStepEnded(refusal, prepared, shared) from error
    except SpecrunError as error:
        raise SharedStepEnded(error, prepared, shared) from error
    for warning in ready.loaded.warnings:
        if warning not in prepared.loaded.warnings:
            show(Alert("warning", warning.code, warning.message + (f"; {warning.hint}" if warning.hint else "")))
    return ready


def _ask_task(prepared: Plan, shared: Mapping[str, StepResult]) -> None:
    kinds, check = prepared.kinds, getattr(prepared.loaded.spec.task, "ready", None)
    working = [d.step for d in prepared.decisions if d.action in ("run", "resume") and d.step.seed is not None]
    if check is None or all(kinds[step.kind].describes_run for step in working):
        return
    folders = {kind: prepared.workspace.store / result.folder for kind, result in shared.items()}
    load_factory(check)(prepared.loaded.spec.task, folders=folders)
