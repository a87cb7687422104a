"""A step in a process of its own: reads a request from standard input, answers with one JSON document on standard output.

What the step prints goes to standard error, so that it cannot mix with the answer.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

from specrun.engine.executors.local import load_runner
from specrun.engine.executors.request import error_document, output_document, requested_call
from specrun.errors import SpecrunError
from specrun.events import Alert, Event, Message


def main() -> int:
    """Run the requested step; 0, or 1 with the error in the answer."""
    request = json.load(sys.stdin)
    with redirect_stdout(sys.stderr):
        answer, code = _answer(request)
    print(json.dumps(answer))
    return code


def _answer(request: dict[str, Any]) -> tuple[dict[str, Any], int]:
    alerts: list[Alert] = []

    def keep(event: Event) -> None:
        if isinstance(event, Alert):
            alerts.append(event)
        elif isinstance(event, Message):
            print(event.text, file=sys.stderr)

    kind, context, spec, inputs = requested_call(request, emit=keep)
    try:
        output = load_runner(kind)(context, spec, inputs)
    except SpecrunError as error:
        return {"error": error_document(error)}, 1
    return {**output_document(output), "alerts": [asdict(alert) for alert in alerts]}, 0


if __name__ == "__main__":
    sys.exit(main())
