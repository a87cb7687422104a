"""A step in a process of its own: reads a request, one line, from standard input, tells events and its answer as `Wire` has it.

What the step prints goes to standard error, so that it cannot mix with the answer. The process ends with the one that started it,
which holds the other end of standard input: a step that goes on alone would write beside the next apply, or spoil what that measures.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from specrun.engine.ending import as_error
from specrun.engine.executors.local import load_runner
from specrun.engine.executors.request import error_document, output_document, requested_call
from specrun.engine.executors.wire import ORPHANED, Wire
from specrun.errors import SpecrunError, StoreError

_STDIN = 0


def main() -> int:
    """Run the requested step; 0, or 1 with the error in the answer or, where it is one that nobody foresaw, on standard error."""
    request = json.loads(sys.stdin.buffer.readline())
    _end_with_parent()
    wire = Wire()
    name, document = _answer(request, wire)
    wire.send(**{name: document})
    return 0 if name == "answer" else 1


def _answer(request: dict[str, Any], wire: Wire) -> tuple[str, dict[str, Any]]:
    kind, context, spec, inputs = requested_call(request, emit=wire.emit)
    try:
        return "answer", output_document(load_runner(kind)(context, spec, inputs))
    except Exception as failure:
        error = as_error(failure, context.folder)
        if not isinstance(failure, SpecrunError) and not isinstance(error, StoreError):
            raise
        return "error", error_document(error)


def _end_with_parent() -> None:
    """End this process at once when the other end of standard input is closed; nothing more comes through it."""

    def watch() -> None:
        while os.read(_STDIN, 64):
            pass
        os._exit(ORPHANED)

    threading.Thread(target=watch, name="specrun-parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
