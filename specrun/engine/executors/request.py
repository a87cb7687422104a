"""What a step needs to run in another process, as one JSON document, and its output or error on the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.engine.workspace import read_result
from specrun.errors import InterruptedRun, SpecrunError, StorageFailure
from specrun.events import Emit
from specrun.plan.step import Step, StepKind
from specrun.runtime.choice import Choice
from specrun.runtime.hardware import ResolvedHardware
from specrun.spec.checks import parts
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.own_parts import OwnPart, allowed_by
from specrun.spec.own_path import Permission
from specrun.spec.resolved import load_resolved
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.registry import step_kind

if TYPE_CHECKING:
    from specrun.runtime.distributed import Workers


def step_request(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> dict[str, Any]:
    """All of a step's call."""
    return {
        "kind": kind.kind,
        "step": asdict(context.step),
        "spec": dump(spec),
        "allow_code": list(allowed_by(spec).prefixes),
        "folder": str(context.folder),
        "store": str(context.store),
        "hardware": asdict(context.hardware),
        "run_id": context.run_id,
        "smoke": context.smoke,
        "data_root": str(context.data_root) if context.data_root else None,
        "inputs": {name: {"folder": str(item.folder), "result": asdict(item.result)} for name, item in inputs.items()},
    }


def requested_call(
    request: Mapping[str, Any], *, emit: Emit, stop_requested: Callable[[], int | None] = lambda: None, workers: Workers | None = None
) -> tuple[StepKind, StepContext, Spec, dict[str, StepInput]]:
    """What `step_request` was made of. workers: those that this process does the step with."""
    kind = step_kind(request["kind"])
    context = StepContext(
        step=Step(**{**request["step"], "needs": tuple(request["step"]["needs"])}),
        folder=Path(request["folder"]),
        store=Path(request["store"]),
        emit=emit,
        hardware=_hardware(request["hardware"]),
        stop_requested=stop_requested,
        base_folder=lambda _: Path.cwd(),
        data_root=Path(request["data_root"]) if request["data_root"] else None,
        run_id=request["run_id"],
        smoke=request["smoke"],
        workers=workers,
    )
    inputs = {name: StepInput(Path(item["folder"]), read_result(item["result"])) for name, item in request["inputs"].items()}
    spec = load_resolved(request["spec"], permission=Permission(tuple(request["allow_code"])))
    _check_same_code(spec, context.step)
    return kind, context, spec, inputs


def _check_same_code(spec: Spec, step: Step) -> None:
    """Raise where parts of a user's own are no longer those that the step's key was made of."""
    for path, part in parts(spec):
        told = step.options.get(f"{'.'.join(path)} facts", {})
        if isinstance(part, OwnPart) and told.get("code", part.code_digest) != part.code_digest:
            raise SpecrunError(f"the code of {part.kind} has changed since the plan was made", code="code-changed", hint="apply again")


def output_document(output: StepOutput) -> dict[str, Any]:
    """A step's output as JSON."""
    return {
        "values": dict(output.values),
        "artifacts": dict(output.artifacts),
        "warnings": list(output.warnings),
        "status": output.status,
    }


def as_output(document: Mapping[str, Any], *, more_warnings: tuple[str, ...] = ()) -> StepOutput:
    """What `output_document` was made of."""
    return StepOutput(document["values"], document["artifacts"], (*document["warnings"], *more_warnings), document["status"])


def error_document(error: SpecrunError) -> dict[str, Any]:
    """A step's error as JSON."""
    return {"message": error.message, "code": error.code, "hint": error.hint, "exit_code": error.exit_code,
            "storage": isinstance(error, StorageFailure), "signal": getattr(error, "signal_number", None)}  # fmt: skip


def as_error(document: Mapping[str, Any]) -> SpecrunError:
    """What `error_document` was made of, of the same kind as far as anyone asks."""
    if document["signal"] is not None:
        return InterruptedRun(document["message"], signal_number=document["signal"], hint=document["hint"])
    kind = StorageFailure if document["storage"] else SpecrunError
    error = kind(document["message"], code=document["code"], hint=document["hint"])
    error.exit_code = int(document["exit_code"])
    return error


def _hardware(document: Mapping[str, Any]) -> ResolvedHardware:
    """Choices are the values that are mappings."""
    values: dict[str, Any] = {name: Choice(**value) if isinstance(value, Mapping) else value for name, value in document.items()}
    return ResolvedHardware(**values)
