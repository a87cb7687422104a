"""Declares the `train` step: weights, trained for one seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.resolve import micro_batch_size, planned_workers
from specrun.plan.step import WEIGHTS, Read, StepKind
from specrun.spec.document import Spec
from specrun.spec.dump import select
from specrun.spec.sections.recovery import Recovery

_OF_SKIPPED = ("skips", "max_rollbacks", "learning_rate_factor")
"""Of the recovery, what counts where steps are skipped."""


def what_shapes_masks(spec: Spec) -> Mapping[str, Any]:
    """Dropout draws its masks a micro-batch at a time, so that with it another size is another training. A model that does not say
    whether it draws is taken to."""
    lora = spec.schedule.parameters.lora
    draws = getattr(spec.model, "draws_in_training", True) or (lora is not None and lora.dropout > 0)
    # Documents are dealt out to devices before they are divided.
    together = {"workers": planned_workers(spec.hardware)} if draws and spec.data.packing == "documents" else {}
    # Where the machine says how many share a batch, a size must be given: the rule masks-follow-devices.
    return {"micro_batch_size": micro_batch_size(spec.schedule, workers=planned_workers(spec.hardware) or 1) if draws else None, **together}


def what_is_trained(spec: Spec) -> Mapping[str, Any]:
    """`schedule.parameters`, as far as it counts: beside adapters everything is frozen, whatever else is named."""
    options: dict[str, Any] = select(spec, "schedule.parameters", WEIGHTS)
    return options if spec.schedule.parameters.lora is None else {**options, "frozen": []}


def what_is_recovered_from(spec: Spec) -> Mapping[str, Any]:
    """`schedule.recovery`, as far as it counts: where the first bad step ends the run, none is skipped. What the learning rate is lowered
    by counts however seldom training may go back: how often it may is allowed to change while it trains."""
    options, usual = spec.schedule.recovery, Recovery()
    idle = _OF_SKIPPED if options.non_finite == "fail" else ()
    written: dict[str, Any] = select(spec, "schedule.recovery", WEIGHTS)
    return {**written, **{name: getattr(usual, name) for name in idle}}


def _what_counts(spec: Spec) -> Mapping[str, Any]:
    """What is told to have no effect trains nothing anew: the rule option-without-effect."""
    return {"parameters": what_is_trained(spec), "recovery": what_is_recovered_from(spec), **what_shapes_masks(spec)}


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
    reads=(Read("task"), *SAMPLES, Read("model"), Read("schedule", resolved=_what_counts)),
    needs=("tokenizer", "tokens"),
    follows=("find_micro_batch", "find_learning_rate"),
    scope="run",
    per_seed=True,
    isolated=False,
    parallel=True,
    uses_device=True,
    resumable=True,
)
