"""Declares the `data` step: documents of every split, checked and stored as Parquet."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind

STEP = StepKind(
    kind="data",
    version=1,
    runner="specrun.steps.data.run:run",
    reads=(Read("data.source"), Read("data.fallback"), Read("data.columns"), Read("data.split"), Read("data.limit")),
    needs=(),
    scope="shared",
    per_seed=False,
    isolated=False,
    uses_device=False,
)
