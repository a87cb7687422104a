"""Runs a step in this process, or alone in a child of it, where a crash or an import cannot hurt the run."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from specrun.engine.executors.crash import step_crashed
from specrun.engine.executors.request import as_error, as_output, step_request
from specrun.engine.executors.wire import Lines, as_event
from specrun.events import Emit
from specrun.plan.step import StepKind
from specrun.runtime.threads import let_waiting_threads_sleep
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput

RunStep = Callable[[StepContext, Spec, Mapping[str, StepInput]], StepOutput]


def load_runner(kind: StepKind) -> RunStep:
    """Import a kind's `run`. This is where torch and the like are imported."""
    let_waiting_threads_sleep(os.environ)
    module, _, name = kind.runner.partition(":")
    runner: RunStep = getattr(importlib.import_module(module), name)
    return runner


def child_command() -> list[str]:
    """The call of a process for one step."""
    return [sys.executable, "-P", "-m", "specrun.engine.executors.child"]


def run_in_child(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Execute a step in a process of its own, which ends with this one; its failure arrives as a SpecrunError of the same code."""
    # Altair, which draws the report's charts, builds its classes from docstrings, which PYTHONOPTIMIZE=2 takes away.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    pipe = subprocess.PIPE
    with subprocess.Popen(child_command(), bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as child:  # noqa: S603 - our own module
        try:
            found, said = _follow(child, json.dumps(step_request(kind, context, spec, inputs)), context.emit)
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0 and "answer" in found:
        return as_output(found["answer"])
    raise as_error(found["error"]) if "error" in found else step_crashed(kind.kind, stderr=said, code=child.returncode)


def _follow(child: subprocess.Popen[bytes], request: str, emit: Emit) -> tuple[dict[str, Any], str]:
    """Hand a request over and pass events on until the child has ended. Returns its answer or error, and what it printed."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    printed: list[bytes] = []
    stderr = child.stderr
    reader = threading.Thread(target=lambda: printed.append(stderr.read()), name="specrun-child", daemon=True)
    reader.start()
    rest = f"{request}\n".encode()
    with contextlib.suppress(BrokenPipeError):
        while rest:
            rest = rest[child.stdin.write(rest) :]
    found: dict[str, Any] = {}
    lines = Lines()
    while data := os.read(child.stdout.fileno(), 1 << 16):
        for document in lines.feed(data):
            if "event" in document:
                emit(as_event(document["event"]))
            else:
                found |= document
    child.wait()
    reader.join()
    return found, b"".join(printed).decode(errors="replace")
