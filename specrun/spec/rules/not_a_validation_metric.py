"""What: early stopping, the choice of the best checkpoint or the learning rate by a metric that evaluations do not give.

Why: all decide during training, by the validation split; deciding by the test split would spend it, and a name that does not exist
would never improve.

Example: `early_stopping: {metric: validation/los}`. Remedy: a metric of the task, such as `validation/loss`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.metrics import EVERY_TASK, OF_TOKENS, OF_UNEQUAL, deciding_metrics, validation_metrics
from specrun.spec.nearest import listed, nearest
from specrun.spec.section import Problem, apart
from specrun.spec.shape import read

CODE = "not-a-validation-metric"


def check(spec: Spec) -> Iterator[Problem]:
    """Look each metric up."""
    yield from apart(*(_check(name, spec) for name in ("checkpoint", "early_stopping", "learning_rate")))


def _check(name: str, spec: Spec) -> Iterator[Problem]:
    section = getattr(spec.schedule, name)
    metric: str | None = None if section is None else read(section, "metric")
    known = deciding_metrics(spec)
    if metric is None or metric in known:
        return
    of_other_split = "validation/" + metric.partition("/")[2]
    near = of_other_split if of_other_split in known else nearest(metric, known)
    hint = f"use {near}" if near else f"use one of {listed(known)}"
    yield Problem(("schedule", name, "metric"), CODE, f"{metric} is no metric of evaluations: {_why(metric, spec)}", hint)


def _why(metric: str, spec: Spec) -> str:
    if metric.startswith("test/"):
        return "decisions during training go by the validation split"
    if metric in {*EVERY_TASK, *OF_TOKENS, *OF_UNEQUAL}:
        return "it is measured on what is trained on, between them"
    if metric in validation_metrics(spec):
        return "neither more nor less of it is better"
    return f"{spec.task.kind} has no such metric"
