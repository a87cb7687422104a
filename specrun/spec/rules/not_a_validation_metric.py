"""What: early stopping or the choice of the best checkpoint by a metric that evaluations do not give.

Why: both decide during training, by the validation split; deciding by the test split would spend it, and a name that does not exist
would never improve.

Example: `early_stopping: {metric: validation/los}`. Remedy: a metric of the task, such as `validation/loss`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.metrics import validation_metrics
from specrun.spec.nearest import listed, nearest
from specrun.spec.section import Problem

CODE = "not-a-validation-metric"


def check(spec: Spec) -> Iterator[Problem]:
    """Look both metrics up."""
    known = validation_metrics(spec)
    schedule = spec.schedule
    named = [("checkpoint", schedule.checkpoint.metric)]
    if schedule.early_stopping is not None:
        named.append(("early_stopping", schedule.early_stopping.metric))
    for section, metric in named:
        if metric in known:
            continue
        of_other_split = "validation/" + metric.partition("/")[2]
        near = of_other_split if of_other_split in known else nearest(metric, known)
        why = (
            "decisions during training go by the validation split" if metric.startswith("test/") else f"{spec.task.kind} has no such metric"
        )
        hint = f"use {near}" if near else f"use one of {listed(known)}"
        yield Problem(("schedule", section, "metric"), CODE, f"{metric} is no metric of evaluations: {why}", hint)
