"""Declares the `tokenizer` step: a tokenizer trained on the train split."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind

STEP = StepKind(
    kind="tokenizer",
    version=1,
    runner="specrun.steps.tokenizer.run:run",
    reads=(Read("data.tokenizer"),),
    needs=("data",),
    scope="shared",
    per_seed=False,
    isolated=False,
    uses_device=False,
    prepares=True,
)
