"""What: evaluations or checkpoints further apart than the training is long.

Why: nothing would be evaluated or saved before the end; the run still does both once at its end, so this is a warning.

Example: `duration: 400 steps` with `evaluate: {every: 500 steps}`. Remedy: a share of the duration, such as `every: 10%`. Where only the
data can relate the two (epochs and steps), the planner compares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from specrun.spec.document import Spec
from specrun.spec.quantities import comparable, in_steps
from specrun.spec.section import Problem, apart
from specrun.spec.units import Quantity

CODE = "cadence-exceeds-duration"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare both cadences with the duration where the spec alone allows it."""
    yield from apart(_check("evaluate", spec), _check("checkpoint", spec))


def cadence_problems(
    spec: Spec, *, evaluate_steps: int | None, checkpoint_steps: int | None, total_steps: int, about: str
) -> Iterator[Problem]:
    """Compare what the spec alone could not, in optimizer steps; None: by time. about: put before figures that are estimated."""
    for name, steps in (("evaluate", evaluate_steps), ("checkpoint", checkpoint_steps)):
        every, duration = getattr(spec.schedule, name).every, spec.schedule.duration
        if steps is None or steps <= total_steps or every.unit == "percent" or comparable(every, duration, spec):
            continue
        distance, whole = in_steps(every, steps, about=about), in_steps(duration, total_steps, about=about)
        message = f"{name}.every {distance} is more than the duration {whole}, so it happens only at the end"
        yield Problem(("schedule", name, "every"), CODE, message, "use 10%", severity="warning")


def _check(name: Literal["evaluate", "checkpoint"], spec: Spec) -> Iterator[Problem]:
    every = getattr(spec.schedule, name).every
    if _exceeds(every, spec):
        message = f"{name}.every {every} is more than the duration {spec.schedule.duration}, so it happens only at the end"
        yield Problem(("schedule", name, "every"), CODE, message, "use 10%", severity="warning")


def _exceeds(every: Quantity, spec: Spec) -> bool:
    if every.unit == "percent":
        return every.amount > 100
    sizes = comparable(every, spec.schedule.duration, spec)
    return sizes is not None and sizes[0] > sizes[1]
