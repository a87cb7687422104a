"""Declares the `tokens` step: every split as token ids in a memory map."""

from __future__ import annotations

from specrun.plan.step import StepKind

STEP = StepKind(
    kind="tokens",
    version=1,
    runner="specrun.steps.tokens.run:run",
    reads=(),
    needs=("data", "tokenizer"),
    scope="shared",
    per_seed=False,
    isolated=False,
    uses_device=False,
    prepares=True,
)
