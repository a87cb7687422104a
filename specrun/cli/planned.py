"""A prepared plan for the terminal and as JSON; shared by `plan` and `apply`."""

from __future__ import annotations

import sys
from typing import Any

from specrun.engine.prepare import Prepared
from specrun.plan import figures
from specrun.plan.explain import plan_document, step_lines


def lines(prepared: Prepared) -> list[str]:
    """What would be done, step by step; the sentence that closes a plan is `plan`'s own."""
    hardware = prepared.hardware
    place = (
        f"{hardware.kind} ({hardware.threads} cores, {figures.size(hardware.memory_bytes)}; "
        f"{hardware.precision.value}: {hardware.precision.reason}; {hardware.compilation.value}: {hardware.compilation.reason})"
    )
    return step_lines(name=prepared.plan.name, place=place, decisions=prepared.decisions, forecast=prepared.forecast,
                      memory_bytes=hardware.memory_bytes)  # fmt: skip


def document(prepared: Prepared) -> dict[str, Any]:
    """The plan as `specrun plan --json` prints it."""
    hardware = prepared.hardware
    device = {"kind": hardware.kind, "name": hardware.name, "precision": hardware.precision.value, "reasons": list(hardware.reasons),
              "memory_bytes": hardware.memory_bytes, "threads": hardware.threads}  # fmt: skip
    return plan_document(spec_digest=prepared.loaded.digest, decisions=prepared.decisions, forecast=prepared.forecast, device=device)


def memory_warnings(prepared: Prepared) -> list[str]:
    """Steps that are expected to need more memory than there is."""
    have = prepared.hardware.memory_bytes
    return [
        f"{d.step.id} is expected to need {figures.size(d.predicted.memory_bytes)} of {figures.size(have)}; lower schedule.micro_batch_size"
        for d in prepared.decisions
        if d.action in ("run", "resume") and d.predicted.memory_bytes is not None and d.predicted.memory_bytes > have
    ]


def warn(prepared: Prepared) -> None:
    """Show the spec's warnings on standard error, and those about memory."""
    if prepared.loaded.warnings:
        from specrun.spec.render import render_text

        print(render_text(prepared.loaded.warnings), file=sys.stderr)
    for text in memory_warnings(prepared):
        print(f"warning: {text}", file=sys.stderr)
