"""Declares the `train` step: weights, trained for one seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.resolve import micro_batch_size, planned_workers
from specrun.plan.step import Read, StepKind
from specrun.spec.document import Spec


def what_shapes_masks(spec: Spec) -> Mapping[str, Any]:
    """Dropout draws its masks a micro-batch at a time, so that with it another size is another training. A model that does not say
    whether it draws is taken to. Batch norm goes by the micro-batch too, and its running means by the workers that they are the mean of."""
    lora = spec.schedule.parameters.lora
    normed = getattr(spec.model, "depends_on_micro_batch", False)
    draws = normed or getattr(spec.model, "draws_in_training", True) or (lora is not None and lora.dropout > 0)
    # Documents are dealt out to devices before they are divided.
    together = {"workers": planned_workers(spec.hardware)} if normed or (draws and spec.data.packing == "documents") else {}
    # Where the machine says how many share a batch, a size must be given: the rule masks-follow-devices.
    return {"micro_batch_size": micro_batch_size(spec.schedule, workers=planned_workers(spec.hardware) or 1) if draws else None, **together}


SAMPLES = (
    Read("data.sequence_length"),
    Read("data.packing", unless="stream"),
    Read("data.group_by_length", unless=False),
)
"""What says how the tokens become samples."""

STEP = StepKind(
    kind="train",
    version=4,
    runner="specrun.steps.train.run:run",
    reads=(Read("task"), *SAMPLES, Read("model"), Read("schedule", resolved=what_shapes_masks)),
    needs=("tokenizer", "tokens", "examples"),
    follows=("find_micro_batch", "find_learning_rate"),
    scope="run",
    per_seed=True,
    isolated=False,
    parallel=True,
    uses_device=True,
    resumable=True,
)
