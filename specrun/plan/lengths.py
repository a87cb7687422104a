"""Lengths of a schedule that only the data relates, held against one another once they are counted, or estimated, in optimizer steps.

The rules are `spec.rules`'; here they are told how many steps there are.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.plan.predict import Forecast
from specrun.spec.document import Spec
from specrun.spec.rules.cadence_exceeds_duration import cadence_problems
from specrun.spec.rules.cycles_exceed_steps import cycle_problems
from specrun.spec.rules.patience_exceeds_evaluations import patience_problems
from specrun.spec.rules.warmup_not_shorter import warmup_problems
from specrun.spec.section import Problem


def length_problems(spec: Spec, forecast: Forecast) -> Iterator[Problem]:
    """What is longer than the training has room for; of data that is not known yet, nothing."""
    schedule = forecast.schedule
    if schedule is None:
        return
    total, every = schedule.total_steps, schedule.evaluate_every_steps
    exact = forecast.facts.exact and schedule.duration_seconds is None
    about = "" if exact else "about "
    yield from warmup_problems(spec, warmup_steps=schedule.warmup_steps, total_steps=total, exact=exact)
    yield from cadence_problems(
        spec, evaluate_steps=every, checkpoint_steps=schedule.checkpoint_every_steps, total_steps=total, about=about
    )
    yield from patience_problems(spec, total_steps=total, evaluate_steps=every, about=about)
    yield from cycle_problems(spec, steps=max(1, total - schedule.warmup_steps), about=about)
