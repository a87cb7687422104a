"""Declares the `examples` step: every split in the form that its task trains on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.step import Read, StepKind
from specrun.spec.document import Spec
from specrun.spec.shape import fields


def _what_prepares(spec: Spec) -> Mapping[str, Any]:
    """Of the task's options, those alone that its preparation reads."""
    read = getattr(spec.task, "prepare_fields", None)
    return {} if read is None else {name: None for name in fields(type(spec.task)) if name != "kind" and name not in read}


STEP = StepKind(
    kind="examples",
    version=1,
    runner="specrun.steps.examples.run:run",
    reads=(Read("task", resolved=_what_prepares), Read("data.columns"), Read("data.sequence_length")),
    needs=("data", "tokenizer"),
    prepares=True,
)
