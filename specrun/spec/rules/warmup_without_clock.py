"""What: a warm-up in time, of a duration that is none.

Why: the learning rate of each step would depend on the clock, of a training that is the same on each machine and after each kill. With a
duration in time it does so anyway.

Example: `duration: 400 steps` with `warmup: 10min`. Remedy: a share of the duration, such as `warmup: 5%`.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read
from specrun.spec.units import Quantity

CODE = "warmup-without-clock"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the units of the two."""
    warmup, duration = read(spec.schedule.learning_rate, "warmup"), spec.schedule.duration
    if isinstance(warmup, Quantity) and warmup.unit == "seconds" and warmup.amount and duration.unit != "seconds":
        message = f"warm-up {warmup} is a time, and the duration {duration} is not: the learning rate would depend on the clock alone"
        yield Problem(("schedule", "learning_rate", "warmup"), CODE, message, "use 5%, or set schedule.duration to a time, such as 9h")
