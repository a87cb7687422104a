"""Owns the names of the metrics that a run of a spec will have, and which way each is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from specrun.spec.parts import kinds, options_class
from specrun.spec.shape import read
from specrun.spec.task_options import Goal

if TYPE_CHECKING:
    from specrun.spec.document import Spec

EVERY_TASK: Mapping[str, Goal | None] = {
    "train/loss": "minimize", "train/learning_rate": None, "train/gradient_norm": None,
    "throughput/samples_per_second": "maximize", "throughput/step_seconds": "minimize", "throughput/data_wait_share": "minimize",
}  # fmt: skip
"""Recorded in training whatever the task; None where neither way is better."""
OF_TOKENS: Mapping[str, Goal | None] = {"throughput/tokens_per_second": "maximize"}
"""Recorded beside them by tasks that count tokens."""
OF_UNEQUAL: Mapping[str, Goal | None] = {"throughput/padding_share": "minimize"}
"""Recorded beside them where samples are of several lengths."""


def goal_of(metric: str, task: str) -> Goal | None:
    """Which way a metric of a kind of task is better, as the task declares it; None where nothing says so.

    One answer for choosing a checkpoint, ranking runs and finding a curve's best point.
    """
    split, _, name = metric.partition("/")
    if split not in {"validation", "test"}:
        return {**EVERY_TASK, **OF_TOKENS, **OF_UNEQUAL}.get(metric)
    declared: Mapping[str, Goal | None] = getattr(options_class("task", task), "metrics", {}) if task in kinds("task") else {}
    return declared.get(name)


def task_metrics(spec: Spec) -> tuple[str, ...]:
    """Names that the task's evaluation gives, without the split."""
    return tuple(spec.task.measured())


def validation_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that exist at each evaluation during training."""
    return tuple(f"validation/{name}" for name in task_metrics(spec))


def deciding_metrics(spec: Spec) -> tuple[str, ...]:
    """Those of them that say which weights are better."""
    return tuple(f"validation/{name}" for name, goal in spec.task.measured().items() if goal is not None)


def has_test_split(spec: Spec) -> bool:
    """Whether the spec's split sets a test part apart."""
    return bool(read(spec.data.split, "test"))


def final_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that a finished run has, and that a gate may name."""
    test = tuple(f"test/{name}" for name in task_metrics(spec)) if has_test_split(spec) else ()
    return (*validation_metrics(spec), *test, *training_metrics(spec))


def training_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that are recorded while a spec's task is trained."""
    tokens = OF_TOKENS if spec.task.counts == "tokens" else ()
    unequal = () if spec.task.few_shapes(spec) else OF_UNEQUAL
    return (*EVERY_TASK, *tokens, *unequal)
