"""What: evaluations or checkpoints further apart than the training is long.

Why: nothing would be evaluated or saved before the end; the run still does both once at its end, so this is a warning.

Example: `duration: 400 steps` with `evaluate: {every: 500 steps}`. Remedy: a share of the duration, such as `every: 10%`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.quantities import comparable
from specrun.spec.section import Problem
from specrun.spec.units import Quantity

CODE = "cadence-exceeds-duration"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare both cadences with the duration where the spec alone allows it."""
    schedule = spec.schedule
    for name, every in (("evaluate", schedule.evaluate.every), ("checkpoint", schedule.checkpoint.every)):
        if _exceeds(every, spec):
            message = f"{name}.every {every} is more than the duration {schedule.duration}, so it happens only at the end"
            yield Problem(("schedule", name, "every"), CODE, message, "use 10%", severity="warning")


def _exceeds(every: Quantity, spec: Spec) -> bool:
    if every.unit == "percent":
        return every.amount > 100
    sizes = comparable(every, spec.schedule.duration, spec)
    return sizes is not None and sizes[0] > sizes[1]
