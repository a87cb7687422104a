"""What: a warm-up that is not shorter than the training.

Why: the learning rate would never reach its base value, and the course after the warm-up would never begin.

Example: `duration: 400 steps` with `warmup: 500 steps`. Remedy: a shorter warm-up, such as `warmup: 5%`. Where the two have units
that only the data can relate (epochs and steps), the planner compares them once it knows, or can estimate, the data.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.quantities import comparable, in_steps
from specrun.spec.section import Problem
from specrun.spec.shape import read
from specrun.spec.units import Quantity

CODE = "warmup-not-shorter"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare warm-up and duration where the spec alone allows it."""
    warmup = read(spec.schedule.learning_rate, "warmup")
    if not isinstance(warmup, Quantity) or not warmup.amount:
        return
    path = ("schedule", "learning_rate", "warmup")
    if warmup.unit == "percent":
        if warmup.amount >= 100:
            yield Problem(path, CODE, f"warm-up {warmup} leaves nothing of the duration", "use 5%")
        return
    sizes = comparable(warmup, spec.schedule.duration, spec)
    if sizes and sizes[0] >= sizes[1]:
        yield Problem(path, CODE, f"warm-up {warmup} is not shorter than the duration {spec.schedule.duration}", "use 5%")


def warmup_problems(spec: Spec, *, warmup_steps: int, total_steps: int, exact: bool) -> Iterator[Problem]:
    """Compare what the spec alone could not. exact: whether both are counted; what is estimated is no error."""
    warmup, duration = read(spec.schedule.learning_rate, "warmup"), spec.schedule.duration
    if not isinstance(warmup, Quantity) or warmup.unit == "percent" or comparable(warmup, duration, spec) or warmup_steps < total_steps:
        return
    about = "" if exact else "about "
    rise, whole = in_steps(warmup, warmup_steps, about=about), in_steps(duration, total_steps, about=about)
    message = f"warm-up {rise} is not shorter than the duration {whole}"
    yield Problem(("schedule", "learning_rate", "warmup"), CODE, message, "use warmup: 5%", severity="error" if exact else "warning")
