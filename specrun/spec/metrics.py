"""Owns the names of the metrics that a run of a spec will have, and which way each is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.spec.shape import read

if TYPE_CHECKING:
    from specrun.spec.document import Spec

EVERY_TASK = ("train/loss", "train/learning_rate", "train/gradient_norm", "throughput/tokens_per_second",
              "throughput/samples_per_second", "throughput/step_seconds")  # fmt: skip
"""Recorded in training whatever the task."""

_HIGHER_IS_BETTER = ("accuracy", "tokens_per_second", "samples_per_second")
"""Last parts of the names of metrics of which more is better; of all others, less is."""


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is better: for choosing a checkpoint, ranking runs and finding a curve's best point alike."""
    return metric.rpartition("/")[2] not in _HIGHER_IS_BETTER


def task_metrics(spec: Spec) -> tuple[str, ...]:
    """Names that the task's evaluation gives, without the split."""
    names: tuple[str, ...] = getattr(spec.task, "metrics", ())
    return names


def validation_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that exist at each evaluation during training."""
    return tuple(f"validation/{name}" for name in task_metrics(spec))


def has_test_split(spec: Spec) -> bool:
    """Whether the spec's split sets a test part apart."""
    return bool(read(spec.data.split, "test"))


def final_metrics(spec: Spec) -> tuple[str, ...]:
    """Metrics that a finished run has, and that a gate may name."""
    test = tuple(f"test/{name}" for name in task_metrics(spec)) if has_test_split(spec) else ()
    return (*validation_metrics(spec), *test, *EVERY_TASK)
