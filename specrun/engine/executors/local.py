"""Runs a step in this process, or alone in a child of it, where a crash or an import cannot hurt the run."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from specrun.engine.executors.crash import step_crashed
from specrun.engine.executors.request import as_error, as_output, step_request
from specrun.errors import SpecrunError
from specrun.events import Alert
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


def run_in_child(kind: StepKind, context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Execute a step in a process of its own; its failure arrives as a SpecrunError of the same code."""
    # Altair, which draws the report's charts, builds its classes from docstrings, which PYTHONOPTIMIZE=2 takes away.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    command = [sys.executable, "-P", "-m", "specrun.engine.executors.child"]
    request = json.dumps(step_request(kind, context, spec, inputs))
    done = subprocess.run(command, input=request, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - our own module
    if done.returncode:
        raise _child_error(kind, done.stdout, done.stderr, done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    for alert in answer["alerts"]:
        context.emit(Alert(**alert))
    return as_output(answer)


def _child_error(kind: StepKind, stdout: str, stderr: str, code: int) -> SpecrunError:
    try:
        return as_error(json.loads(stdout)["error"])
    except (ValueError, KeyError, TypeError):
        return step_crashed(kind.kind, stderr=stderr, code=code)
