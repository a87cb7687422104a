"""A step in a process of its own: reads a request from standard input, answers with one JSON document on standard output.

What the step prints goes to standard error, so that it cannot mix with the answer.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.engine.running import load_runner
from specrun.engine.workspace import read_result
from specrun.errors import SpecrunError, StorageFailure
from specrun.events import Alert, Event, Message
from specrun.plan.step import Step
from specrun.runtime.hardware import probe, resolve
from specrun.spec.resolved import load_resolved
from specrun.steps.contract import StepContext, StepInput
from specrun.steps.registry import step_kinds


def main() -> int:
    """Run the requested step; 0, or 1 with the error in the answer."""
    request = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        answer, code = _answer(request)
    print(json.dumps(answer))
    return code


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], int]:
    kind = next(kind for kind in step_kinds() if kind.kind == request["kind"])
    spec = load_resolved(request["spec"])
    alerts: list[Alert] = []

    def keep(event: Event) -> None:
        if isinstance(event, Alert):
            alerts.append(event)
        elif isinstance(event, Message):
            print(event.text, file=sys.stderr)

    context = StepContext(
        step=Step(**{**request["step"], "needs": tuple(request["step"]["needs"])}),
        folder=Path(request["folder"]),
        store=Path(request["store"]),
        emit=keep,
        hardware=resolve(spec.hardware, probe()),
        stop_requested=lambda: None,
        base_folder=lambda _: Path.cwd(),
        data_root=Path(request["data_root"]) if request["data_root"] else None,
        run_id=request["run_id"],
        smoke=request["smoke"],
    )
    inputs = {name: StepInput(Path(item["folder"]), read_result(item["result"])) for name, item in request["inputs"].items()}
    try:
        output = load_runner(kind)(context, spec, inputs)
    except SpecrunError as error:
        problem = {"message": error.message, "code": error.code, "hint": error.hint, "exit_code": error.exit_code,
                   "storage": isinstance(error, StorageFailure)}  # fmt: skip
        return {"error": problem}, 1
    return {
        "values": dict(output.values),
        "artifacts": dict(output.artifacts),
        "warnings": list(output.warnings),
        "status": output.status,
        "alerts": [asdict(alert) for alert in alerts],
    }, 0


if __name__ == "__main__":
    sys.exit(main())
