"""Runs one step, here or in a child process, and seals what it left behind into a StepResult."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.engine.plan import Plan
from specrun.engine.secrecy import process_mask
from specrun.engine.workspace import file_digest
from specrun.errors import SpecrunError, StorageFailure
from specrun.events import Alert, Artifact, Emit, Event
from specrun.plan.step import Step, StepKind, StepResult
from specrun.runtime.threads import let_waiting_threads_sleep
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.steps.contract import StepContext, StepInput, StepOutput

RunStep = Callable[[StepContext, Spec, Mapping[str, StepInput]], StepOutput]


def run_step(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Execute a step. Raises whatever it raises; an isolated step's failure arrives as a SpecrunError of the same code."""
    if kind.isolated:
        return _run_in_child(kind, context, spec, inputs)
    return load_runner(kind)(context, spec, inputs)


def make_context(
    prepared: Plan,
    step: Step,
    folder: Path,
    *,
    emit: Emit,
    stop_requested: Callable[[], int | None] = lambda: None,
    run_id: str | None = None,
) -> StepContext:
    """The world as a step of this plan may see it."""
    return StepContext(
        step=step,
        folder=folder,
        store=prepared.workspace.store,
        emit=emit,
        hardware=prepared.hardware,
        stop_requested=stop_requested,
        base_folder=prepared.loaded.provenance.base_folder,
        data_root=prepared.request.data_root,
        run_id=run_id,
        smoke=prepared.request.smoke,
    )


def load_runner(kind: StepKind) -> RunStep:
    """Import a kind's `run`. This is where torch and the like are imported."""
    let_waiting_threads_sleep(os.environ)
    module, _, name = kind.runner.partition(":")
    runner: RunStep = getattr(importlib.import_module(module), name)
    return runner


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


def _run_in_child(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    request = {
        "kind": kind.kind,
        "step": asdict(context.step),
        "spec": dump(spec),
        "folder": str(context.folder),
        "store": str(context.store),
        "run_id": context.run_id,
        "smoke": context.smoke,
        "data_root": str(context.data_root) if context.data_root else None,
        "inputs": {name: {"folder": str(item.folder), "result": asdict(item.result)} for name, item in inputs.items()},
    }
    # Altair, which draws the report's charts, builds its classes from docstrings, which PYTHONOPTIMIZE=2 takes away.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    command = [sys.executable, "-P", "-m", "specrun.engine.child"]
    done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - our own module
    if done.returncode:
        raise _child_error(kind, done.stdout, done.stderr, done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    for alert in answer["alerts"]:
        context.emit(Alert(**alert))
    return StepOutput(answer["values"], answer["artifacts"], tuple(answer["warnings"]), answer["status"])


def _child_error(kind: StepKind, stdout: str, stderr: str, code: int) -> SpecrunError:
    try:
        problem = json.loads(stdout)["error"]
        kind_of_error = StorageFailure if problem["storage"] else SpecrunError
        error = kind_of_error(problem["message"], code=problem["code"], hint=problem["hint"])
        error.exit_code = int(problem["exit_code"])
        return error
    except (ValueError, KeyError, TypeError):
        lines = stderr.strip().splitlines()
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return SpecrunError(f"the {kind.kind} step ended with {how}: {lines[-1] if lines else 'it said nothing'}", code="step-crashed",
                            hint="what was trained before it is kept; apply again repeats this step alone")  # fmt: skip
