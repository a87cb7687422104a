"""Lengths of a schedule that only the data relates, held against one another once they are counted, or estimated, in optimizer steps.

The rules are `spec.rules`'; here they are told how many steps there are.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.plan.predict import Forecast
from specrun.spec.document import Spec
from specrun.spec.quantities import comparable
from specrun.spec.rules.cadence_exceeds_duration import cadence_problems
from specrun.spec.rules.cycles_exceed_steps import cycle_problems
from specrun.spec.rules.patience_exceeds_evaluations import patience_problems
from specrun.spec.rules.warmup_not_shorter import warmup_problems
from specrun.spec.section import Problem
from specrun.spec.shape import read
from specrun.spec.units import Quantity

_STEP = Quantity(1, "steps")


def length_problems(spec: Spec, forecast: Forecast) -> Iterator[Problem]:
    """What is longer than the training has room for; of data that is not known yet, nothing."""
    schedule = forecast.schedule
    if schedule is None:
        return
    total, by_time = schedule.total_steps, spec.schedule.evaluate.every.unit == "seconds"
    every = None if by_time and schedule.duration_seconds is None else schedule.evaluate_every_steps
    exact = forecast.facts.exact and schedule.duration_seconds is None

    def about(*quantities: Quantity | None, of: Quantity) -> str:
        known = (it is None or it.unit == "percent" or comparable(it, of, spec) is not None for it in quantities)
        return "" if exact or all(known) else "about "

    duration, warmup = spec.schedule.duration, read(spec.schedule.learning_rate, "warmup")
    yield from warmup_problems(spec, warmup_steps=schedule.warmup_steps, total_steps=total, exact=exact)
    yield from cadence_problems(spec, evaluate_steps=every, checkpoint_steps=schedule.checkpoint_every_steps, total_steps=total,
                                about="" if exact else "about ")  # fmt: skip
    if every is not None:  # else it is the speed that says how many evaluations there are
        estimated = "about " if by_time else about(spec.schedule.evaluate.every, of=duration)
        yield from patience_problems(spec, total_steps=total, evaluate_steps=every, about=estimated)
    yield from cycle_problems(spec, steps=max(1, total - schedule.warmup_steps), about=about(duration, warmup, of=_STEP))
