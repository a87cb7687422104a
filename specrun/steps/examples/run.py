"""Runs the `examples` step: the task's own preparation of the data, once for all seeds."""

from __future__ import annotations

from collections.abc import Mapping

from specrun.events import Alert, Progress
from specrun.runtime.factory import load_factory
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput, facts_of, folders_of
from specrun.tasks.contract import Prepared, PrepareRequest


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Let the task prepare its examples. values: what it told. Raises: whatever it raises, a DataError where the data is at fault."""
    context.emit(Progress(context.step.id, 0, None, "row"))
    request = PrepareRequest(
        spec=spec,
        folders=folders_of(inputs),
        facts=facts_of(inputs),
        folder=context.folder,
        emit=context.emit,
        smoke=context.smoke,
    )
    prepare = getattr(spec.task, "prepare", None)
    assert prepare is not None, f"task {spec.task.kind} is prepared by examples and does not say how"
    prepared: Prepared = load_factory(prepare)(spec.task, request)
    for code, text in prepared.warnings:
        context.emit(Alert("warning", code, text))
    return StepOutput(prepared.values, prepared.artifacts, tuple(text for _, text in prepared.warnings))
