"""Declares the `report` step: the documents about a run."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind

STEP = StepKind(
    kind="report",
    version=1,
    runner="specrun.steps.report.run:run",
    reads=(Read("report", frozenset({"report"})), Read("expect", frozenset({"report"}))),
    needs=("data", "tokens", "examples", "train", "evaluate"),
    scope="run",
    per_seed=True,
    isolated=True,
    uses_device=False,
    describes_run=True,
)
