"""Runs one step, wherever it belongs, and seals what it left behind into a StepResult."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from specrun.engine.executors.local import load_runner, run_in_child
from specrun.engine.executors.torchrun import run_on_workers
from specrun.engine.plan import Plan
from specrun.engine.secrecy import process_mask
from specrun.engine.workspace import file_digest
from specrun.events import Alert, Artifact, Emit, Event
from specrun.plan.step import Step, StepKind, StepResult
from specrun.runtime.allocation import give_back_freed_memory
from specrun.runtime.signals import StopSignals
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput


def run_step(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Execute a step where it belongs. Raises whatever it raises; the failure of another process arrives as a SpecrunError of the
    same code."""
    if kind.isolated(spec) if callable(kind.isolated) else kind.isolated:
        return run_in_child(kind, context, spec, inputs)
    if kind.parallel and spec.hardware.engine == "torchrun":
        return run_on_workers(kind, context, spec, inputs)
    try:
        return load_runner(kind)(context, spec, inputs)
    finally:
        give_back_freed_memory()


def make_context(
    prepared: Plan,
    step: Step,
    folder: Path,
    *,
    emit: Emit,
    signals: StopSignals | None = None,
    run_id: str | None = None,
) -> StepContext:
    """The world as a step of this plan may see it."""
    return StepContext(
        step=step,
        folder=folder,
        store=prepared.workspace.store,
        emit=emit,
        hardware=prepared.hardware,
        stop_requested=signals.requested if signals is not None else lambda: None,
        stop_pending=signals.pending if signals is not None else lambda: None,
        base_folder=prepared.loaded.provenance.base_folder,
        data_root=prepared.request.data_root,
        run_id=run_id,
        smoke=prepared.request.smoke,
    )


class AlertCodes:
    """Passes events on and remembers the code of each alert, so that a step's warnings keep theirs when it is cached."""

    def __init__(self, emit: Emit, kind: str) -> None:
        self._emit = emit
        self._otherwise = f"{kind}-warning"
        self._codes: dict[str, str] = {}

    def emit(self, event: Event) -> None:
        """Take an event of the step."""
        if isinstance(event, Alert):
            self._codes[event.message] = event.code
        self._emit(event)

    def of(self, warnings: Sequence[str]) -> tuple[str, ...]:
        """The codes of the step's warnings, in their order."""
        return tuple(self._codes.get(warning, self._otherwise) for warning in warnings)


def seal(
    step: Step, folder: Path, output: StepOutput, *, store: Path, started: float, finished_at: str, run_id: str | None, codes: AlertCodes
) -> StepResult:
    """Make the result of a finished step: hash and size of everything it names. folder: absolute, where it lies for good.

    started: by the monotonic clock; a wall clock that is set back would make a step take less than no time.
    """
    artifacts = {}
    for name, role in sorted(output.artifacts.items()):
        path = folder / name
        artifacts[name] = {"sha256": file_digest(path), "bytes": path.stat().st_size, "role": role}
    return StepResult(
        id=step.id,
        kind=step.kind,
        key=step.key,
        folder=str(folder.relative_to(store)),
        values={**output.values, "status": output.status},
        artifacts=artifacts,
        seconds=time.monotonic() - started,
        finished_at=finished_at,
        run_id=run_id,
        warnings=tuple(process_mask().text(warning) for warning in output.warnings),
        warning_codes=codes.of(output.warnings),
    )


def artifact_events(result: StepResult) -> list[Artifact]:
    """The artifacts of a result as events, paths relative to the store."""
    return [
        Artifact(facts["role"], f"{result.folder}/{name}", facts["sha256"], facts["bytes"], result.id)
        for name, facts in result.artifacts.items()
    ]


def actual_costs(result: StepResult, folder: Path) -> dict[str, float]:
    """What a step took, in the terms of a prediction. disk: the files it names."""
    actual = {"seconds": result.seconds, "disk_bytes": float(sum(facts["bytes"] for facts in result.artifacts.values()))}
    checkpoints = folder / "checkpoints"
    if result.kind == "train" and checkpoints.is_dir():
        actual["disk_bytes"] = float(sum(path.stat().st_size for path in checkpoints.rglob("*") if path.is_file()))
    if memory := result.values.get("peak_memory_bytes"):
        actual["memory_bytes"] = float(memory)
    return actual
