"""Declares the `train` step: weights, trained for one seed."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind

STEP = StepKind(
    kind="train",
    version=2,
    runner="specrun.steps.train.run:run",
    reads=(Read("task"), Read("data.sequence_length"), Read("model"), Read("schedule")),
    needs=("tokenizer", "tokens"),
    scope="run",
    per_seed=True,
    isolated=False,
    uses_device=True,
    resumable=True,
)
