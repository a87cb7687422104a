"""Declares the `data` step: documents of every split, checked and stored as Parquet."""

from __future__ import annotations

from specrun.plan.step import Read, StepKind
from specrun.spec.document import Spec


def _needs_own_process(spec: Spec) -> bool:
    """Where a source reads through a library that the process of a training must not hold."""
    return any(getattr(source, "isolated", False) for source in (spec.data.source, spec.data.fallback))


STEP = StepKind(
    kind="data",
    version=1,
    runner="specrun.steps.data.run:run",
    reads=(Read("data.source"), Read("data.fallback"), Read("data.columns"), Read("data.split"), Read("data.limit")),
    needs=(),
    scope="shared",
    per_seed=False,
    isolated=_needs_own_process,
    uses_device=False,
)
