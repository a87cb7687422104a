"""Declares the `find_micro_batch` step: how many samples are computed at once, measured where the whole batch may not fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.step import Read, StepKind
from specrun.spec.document import Spec
from specrun.steps.find_learning_rate.step import AFTERWARDS, optimizer_without_rate


def _what_takes_memory(spec: Spec) -> Mapping[str, Any]:
    return {**dict.fromkeys((*AFTERWARDS, "micro_batch_size")), "optimizer": optimizer_without_rate(spec)}


STEP = StepKind(
    kind="find_micro_batch",
    version=1,
    runner="specrun.steps.find_micro_batch.run:run",
    reads=(
        Read("task"),
        Read("data.sequence_length"),
        Read("model"),
        Read("schedule", resolved=_what_takes_memory),
        Read("hardware", frozenset({"runtime"})),
    ),
    needs=("tokenizer", "tokens", "examples"),
    finds="schedule.micro_batch_size",
    isolated=True,
    uses_device=True,
    uses_machine=True,
    settings={"margin": 0.1, "timed_steps": 2},
)
