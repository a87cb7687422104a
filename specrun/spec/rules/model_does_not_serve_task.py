"""What: a model that has not the interface that the task asks for, such as a decoder for images.

Why: the task would call what the model does not have, or feed it what it cannot read.

Example: `task: {kind: forecasting}` with `model: {kind: gpt}`. Remedy: a model that serves the task; the message names them.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.model_options import ModelOptions
from specrun.spec.nearest import listed
from specrun.spec.parts import kinds, options_class
from specrun.spec.section import Problem

CODE = "model-does-not-serve-task"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare what the task asks for with what the model serves."""
    wanted, model = spec.task.interface, spec.model
    if wanted in model.serves:
        return
    fitting = [kind for kind in kinds("model") if wanted in _serves(kind)]
    message = f"model {model.kind} cannot be trained for task {spec.task.kind}: it is no {wanted.replace('_', ' ')}"
    hint = f"use kind: {listed(fitting)}" if fitting else f"name a model of your own that serves {wanted}"
    yield Problem(("model", "kind"), CODE, message, hint)


def _serves(kind: str) -> tuple[str, ...]:
    options = options_class("model", kind)
    return options.serves if issubclass(options, ModelOptions) else ()
