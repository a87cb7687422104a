"""What: a patience that cannot run out while there is training left.

Why: the first evaluation counts as an improvement, so that a patience of n needs n + 2 evaluations to change anything: the first, n that
are no better, and one that comes after. With fewer, training never ends early, and the learning rate is never reduced. How many there are
is known in steps, so the planner counts them; the result is valid, so this is a warning.

Example: `evaluate: {every: 25%}` with `early_stopping: {patience: 5 evaluations}`. Remedy: more evaluations, or less patience.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read

CODE = "patience-exceeds-evaluations"
_BESIDES = 2
"""Evaluations that a patience needs beside its own."""
_USUAL_SHARE = 10
"""Percent of the duration from one evaluation to the next where nothing is said."""
_EFFECTS = {"early_stopping": "end the training early", "learning_rate": "reduce the learning rate before the training ends"}


def patience_problems(spec: Spec, *, total_steps: int, evaluate_steps: int, about: str) -> Iterator[Problem]:
    """Compare each patience with the evaluations of the training. evaluate_steps: from one to the next; about: put before a number that is
    estimated."""
    evaluations = -(-total_steps // evaluate_steps)
    for name, effect in _EFFECTS.items():
        section = getattr(spec.schedule, name)
        patience = None if section is None else read(section, "patience")
        if patience is None or patience.amount + _BESIDES <= evaluations:
            continue
        there = f"there is {about}1 evaluation, which" if evaluations == 1 else f"of {about}{evaluations:,} evaluations the first"
        message = f"a patience of {patience} cannot {effect}: {there} counts as an improvement"
        hint = _remedy(int(patience.amount), evaluations=evaluations, total_steps=total_steps)
        yield Problem(("schedule", name, "patience"), CODE, message, hint, severity="warning")


def _remedy(patience: int, *, evaluations: int, total_steps: int) -> str:
    """Less patience where there is room for any, and a cadence that gives enough evaluations where there is one; else both."""

    def given_by(share: int) -> int:
        return math.ceil(total_steps / math.ceil(total_steps * share / 100))

    def at_most(evaluations: int) -> str:
        most = evaluations - _BESIDES
        return f"use {most} evaluation{'' if most == 1 else 's or fewer'}"

    needed = patience + _BESIDES
    share = next((share for share in range(100 // needed, 0, -1) if given_by(share) >= needed), None)
    found = [at_most(evaluations)] if evaluations > _BESIDES else []
    found += [f"use schedule.evaluate.every: {share}%"] if share else []
    if not found and (usual := given_by(_USUAL_SHARE)) > _BESIDES:
        found = [f"{at_most(usual)}, with schedule.evaluate.every: {_USUAL_SHARE}%"]
    return ", or ".join(found) or f"use schedule.duration: {needed} steps, with schedule.evaluate.every: 1 step"
