"""Declares the `data` step: documents or rows of every split, checked and stored as Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.step import WEIGHTS, Read, StepKind
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.sections.checks import Checks
from specrun.spec.shape import fields


def _what_is_stored(spec: Spec) -> Mapping[str, Any]:
    """The columns that the task reads, and none of its options; nothing where it reads texts alone."""
    roles = sorted(spec.task.roles.items()) if spec.task.data_form == "table" else None
    return {**dict.fromkeys(fields(type(spec.task))), "roles": roles and [list(role) for role in roles]}


def _needs_own_process(spec: Spec) -> bool:
    """Where a source, or an expectation, needs a library that the process of a training must not hold."""
    return spec.data.checks.of_columns or any(getattr(source, "isolated", False) for source in (spec.data.source, spec.data.fallback))


STEP = StepKind(
    kind="data",
    version=1,
    runner="specrun.steps.data.run:run",
    reads=(
        Read("data.source"),
        Read("data.fallback"),
        Read("data.columns"),
        Read("data.split"),
        Read("data.limit"),
        Read("data.sample"),
        Read("data.deduplicate", unless=False),
        Read("data.checks", unless=dump(Checks(), WEIGHTS)),
        Read("task", resolved=_what_is_stored, identity=False),
    ),
    needs=(),
    scope="shared",
    per_seed=False,
    isolated=_needs_own_process,
    uses_device=False,
)
