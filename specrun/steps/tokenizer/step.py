"""Declares the `tokenizer` step: a tokenizer trained on the train split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.step import Read, StepKind
from specrun.spec.document import Spec
from specrun.spec.shape import fields


def _what_is_asked(spec: Spec) -> Mapping[str, Any]:
    """What the task asks of its tokenizer, and none of its options; nothing where that is to read `text`."""
    options = dict.fromkeys(fields(type(spec.task)))
    texts = spec.task.text_roles
    return {**options, "special_tokens": list(spec.task.special_tokens) or None, "text_roles": None if texts == ("text",) else list(texts)}


STEP = StepKind(
    kind="tokenizer",
    version=1,
    runner="specrun.steps.tokenizer.run:run",
    reads=(Read("data.tokenizer"), Read("task", resolved=_what_is_asked)),
    needs=("data",),
    scope="shared",
    per_seed=False,
    isolated=False,
    uses_device=False,
    prepares=True,
)
