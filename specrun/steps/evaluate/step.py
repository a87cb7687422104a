"""Declares the `evaluate` step: the best checkpoint on whole splits."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind

STEP = StepKind(
    kind="evaluate",
    version=3,
    runner="specrun.steps.evaluate.run:run",
    reads=(Read("task", frozenset({"weights", "eval"})), Read("schedule.evaluate", frozenset({"eval"}))),
    needs=("tokenizer", "tokens", "examples", "train"),
    scope="run",
    per_seed=True,
    isolated=False,
    parallel=True,
    uses_device=True,
)
