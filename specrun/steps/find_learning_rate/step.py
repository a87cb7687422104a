"""Declares the `find_learning_rate` step: the range test, where the spec leaves the base rate to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specrun.plan.step import WEIGHTS, Read, StepKind
from specrun.spec.document import Spec
from specrun.spec.dump import select
from specrun.steps.train.step import SAMPLES, what_shapes_masks

AFTERWARDS = ("duration", "learning_rate", "evaluate", "checkpoint", "early_stopping", "log_every", "recovery")
"""Of the schedule, what does not touch a single optimizer step: how long, by which course and with what care is trained."""


def optimizer_without_rate(spec: Spec) -> Mapping[str, Any]:
    """The optimizer's options but for its rate, which a finder sets itself."""
    options: dict[str, Any] = select(spec, "schedule.optimizer", WEIGHTS)
    return {name: value for name, value in options.items() if name != "learning_rate"}


def _an_optimizer_step(spec: Spec) -> Mapping[str, Any]:
    """The average of the weights follows them and is not tested."""
    parameters = {**select(spec, "schedule.parameters", WEIGHTS), "average": None}
    return {**dict.fromkeys(AFTERWARDS), "optimizer": optimizer_without_rate(spec), "parameters": parameters, **what_shapes_masks(spec)}


STEP = StepKind(
    kind="find_learning_rate",
    version=2,
    runner="specrun.steps.find_learning_rate.run:run",
    reads=(Read("task"), *SAMPLES, Read("model"), Read("schedule", resolved=_an_optimizer_step)),
    needs=("tokenizer", "tokens", "examples"),
    follows=("find_micro_batch",),
    finds="schedule.optimizer.learning_rate",
    uses_device=True,
    begins_as_training=True,
    settings={"low": 1e-7, "high": 10.0, "steps": 100},
)
