"""What: half cosines of less than two steps.

Why: within one step the learning rate does not come down, and cycles that are shorter than a step are left out. How many steps there are
is known once the data is, so the planner counts them; the result is valid, so this is a warning.

Example: `learning_rate: {kind: cosine_restarts, cycles: 100}` with `duration: 120 steps`. Remedy: as many cycles as fit.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read

CODE = "cycles-exceed-steps"
_LEAST_STEPS = 2


def cycle_problems(spec: Spec, *, steps: int, about: str) -> Iterator[Problem]:
    """Compare the first cycle, which is the shortest, with a step. steps: after the warm-up; about: put before what is estimated."""
    course = spec.schedule.learning_rate
    cycles, growth = read(course, "cycles"), read(course, "cycle_growth")
    if cycles in (None, 1) or (first := _first_steps(steps, cycles, growth)) >= _LEAST_STEPS:
        return
    fitting = next((fewer for fewer in range(cycles - 1, 1, -1) if _first_steps(steps, fewer, growth) >= _LEAST_STEPS), None)
    grown = f", each {growth:g} times as long as the one before," if growth > 1 else ""
    room = f"{about}{steps:,} step{'' if steps == 1 else 's'}"
    message = f"{cycles} cycles{grown} do not fit {room}: the first has {_shown(first)}, and the learning rate comes down in 2 at least"
    hint = f"use {fitting} or fewer" if fitting else "use kind: warmup_cosine, or a longer schedule.duration"
    yield Problem(("schedule", "learning_rate", "cycles"), CODE, message, hint, severity="warning")


def _first_steps(steps: int, cycles: int, growth: float) -> float:
    """Length of the first cycle: all of them are (g^n - 1) / (g - 1) times as long."""
    return steps / (cycles if growth == 1 else (growth**cycles - 1) / (growth - 1))


def _shown(steps: float) -> str:
    return "1 step" if steps == 1 else f"{steps:.2g} steps" if steps >= 0.01 else "less than a hundredth of a step"
