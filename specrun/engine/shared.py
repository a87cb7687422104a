"""The steps that runs share: each under a lock of its key, in a folder of its own that is put in place when it is whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import replace

from specrun.engine.facts import text_bytes
from specrun.engine.history import append_history
from specrun.engine.locks import wait_for
from specrun.engine.outcome import StepOutcome
from specrun.engine.plan import Plan
from specrun.engine.prepare import digests_now, refresh, without_retries
from specrun.engine.running import AlertCodes, actual_costs, make_context, run_step, seal
from specrun.engine.session import utc_now
from specrun.errors import DataError
from specrun.events import Emit, Message, StepRecord
from specrun.plan.compiler import part_at
from specrun.plan.past import Past
from specrun.plan.predict import step_signature
from specrun.plan.step import Decision, Step, StepKind, StepResult
from specrun.runtime.signals import StopNow
from specrun.steps.contract import StepInput

Taken = dict[str, Decision]
"""By step id, the decision that was carried out."""


class SharedStepEnded(Exception):
    """A shared step, or what has to hold before a run begins, failed or was interrupted. failure: what was raised.

    shared: what is finished; decision: about the step that is not, where it was a step.
    """

    def __init__(self, failure: BaseException, prepared: Plan, shared: Mapping[str, StepResult], decision: Decision | None = None) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.prepared = prepared
        self.shared = dict(shared)
        self.decision = decision


Ready = Callable[[Plan, Mapping[str, StepResult]], Plan]
"""Asks what must hold before anything is trained. Raises SharedStepEnded where it does not."""


def run_shared(
    prepared: Plan, *, show: Emit, tally: list[StepOutcome], ready: Ready, only: Container[str] | None = None
) -> tuple[Plan, dict[str, StepResult], Taken]:
    """Run what has to run. Returns the plan as it is afterwards, the results by step kind, and what was done about each.

    ready: asked before a step that trains. only: kinds of step that are run at all; None: every one that is shared.
    Raises SharedStepEnded for whatever ends a step.
    """
    shared: dict[str, StepResult] = {}
    taken: Taken = {}
    for kind in prepared.kinds.values():
        if kind.scope != "shared" or kind.kind not in {step.kind for step in prepared.graph.steps} or (only and kind.kind not in only):
            continue
        decision = prepared.decision(kind.kind)
        result = prepared.workspace.result(kind.kind, decision.step.key)
        if decision.action == "run":
            if kind.finds is not None:
                prepared = ready(prepared, shared)
            try:
                result, decision = _run_one(prepared, kind, decision, shared, show)
            except (Exception, StopNow) as failure:
                raise SharedStepEnded(failure, as_taken(prepared, taken), shared, decision) from failure
            prepared = without_retries(refresh(prepared))
        if result is not None:
            shared[kind.kind] = result
        taken[kind.kind] = decision
        tally.append(StepOutcome(kind.kind, decision.action, result.seconds if result and decision.action == "run" else 0.0))
    return prepared, shared, taken


def as_taken(prepared: Plan, taken: Taken) -> Plan:
    """The plan with what was done about the shared steps, in the place of what is to do about them by now: nothing."""
    return replace(prepared, decisions=tuple(taken.get(d.step.id, d) for d in prepared.decisions))


def _run_one(prepared: Plan, kind: StepKind, decision: Decision, shared: dict[str, StepResult], show: Emit) -> tuple[StepResult, Decision]:
    """Run a shared step, unless another apply has finished it while this one waited for the lock."""
    step, workspace = decision.step, prepared.workspace
    show(Message(f"{step.id}: started ({decision.reason})"))
    with wait_for(workspace.lock_file(step), on_wait=lambda who: show(Message(f"{step.id}: waiting for another apply {who}"))):
        found = workspace.result(kind.kind, step.key)
        if found is not None and not found.values.get("fallback_used"):
            return found, replace(decision, action="cached", reason="another apply has just finished it")
        started = time.monotonic()
        folder = workspace.new_shared_folder(step)
        try:
            inputs = {need: StepInput(workspace.store / shared[need].folder, shared[need]) for need in kind.needs if need in shared}
            codes = AlertCodes(show, step.kind)
            output = run_step(kind, make_context(prepared, step, folder, emit=codes.emit), prepared.loaded.spec, inputs)
            _refuse_changed_inputs(prepared, kind, step)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        kept = workspace.keep_shared(step, folder, variant=output.values.get("variant"))
        result = seal(step, kept, output, store=workspace.store, started=started, finished_at=utc_now(), run_id=None, codes=codes)
        workspace.save_result(step, result, version=kind.version)
        data = result if step.kind == "data" else shared["data"]
        signature = step_signature(step.kind, prepared.loaded.spec, training=prepared.signature)
        past = Past(step.kind, signature, prepared.hardware.name, float(text_bytes(data.values)), result.seconds)
        append_history(workspace.history_file, past)
        show(StepRecord(step.id, step.kind, step.key, decision.action, decision.reason, {}, actual_costs(result, kept)))
        return result, decision


def _refuse_changed_inputs(prepared: Plan, kind: StepKind, step: Step) -> None:
    """A result must hold what its key says: files that were edited while they were read make it worthless."""
    for read in kind.reads:
        before = prepared.inputs.get(read.path)
        if not before:
            continue
        part = part_at(prepared.loaded.spec, read.path)
        now = digests_now(prepared.request, prepared.loaded, prepared.workspace, read.path, part)
        changed = sorted(file for file in before.keys() | now.keys() if before.get(file) != now.get(file))
        if changed:
            raise DataError(f"{changed[0]} was changed while {step.id} read it", code="data-changed-while-read",
                            hint="apply again once the files are at rest")  # fmt: skip
