"""What: a length in tokens for a task that has none.

Why: images, rows and series are counted in samples; a number of tokens would mean nothing.

Example: `task: {kind: image_classification}` with `duration: 50M tokens`. Remedy: epochs, samples or steps.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.dump import walk_fields
from specrun.spec.section import Problem
from specrun.spec.units import Quantity

CODE = "tokens-not-counted"


def check(spec: Spec) -> Iterator[Problem]:
    """Look at the unit of every length of the schedule."""
    if spec.task.counts == "tokens":
        return
    for path, _, value in walk_fields(spec.schedule):
        if isinstance(value, Quantity) and value.unit == "tokens":
            message = f"{value} cannot be counted: task {spec.task.kind} predicts {spec.task.counts}"
            yield Problem(("schedule", *path), CODE, message, "give it in samples, steps or epochs")
