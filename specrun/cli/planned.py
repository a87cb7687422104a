"""What is said about a plan before anything is run; shared by `plan` and `apply`."""

from __future__ import annotations

import sys

from specrun.engine.plan import Plan
from specrun.plan import figures


def memory_warnings(plan: Plan) -> list[str]:
    """Steps that are expected to need more memory than there is."""
    have = plan.hardware.memory_bytes
    return [
        f"{d.step.id} is expected to need {figures.size(d.predicted.memory_bytes)} of {figures.size(have)}; lower schedule.micro_batch_size"
        for d in plan.decisions
        if d.action in ("run", "resume") and d.predicted.memory_bytes is not None and d.predicted.memory_bytes > have
    ]


def warn(plan: Plan) -> None:
    """Show the spec's warnings on standard error, and those about memory."""
    if plan.loaded.warnings:
        from specrun.spec.render import render_text

        print(render_text(plan.loaded.warnings), file=sys.stderr)
    for text in memory_warnings(plan):
        print(f"warning: {text}", file=sys.stderr)
