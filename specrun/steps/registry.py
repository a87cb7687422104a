"""The kinds of step that exist: every folder here with a `step.py`. Importing a declaration imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from specrun import steps
from specrun.plan.step import StepKind


@cache
def step_kinds() -> tuple[StepKind, ...]:
    """Every kind, parents before children, otherwise by name."""
    found = {}
    for module in pkgutil.iter_modules(steps.__path__):
        if module.ispkg:
            kind: StepKind = importlib.import_module(f"{steps.__name__}.{module.name}.step").STEP
            found[kind.kind] = kind
    ordered: dict[str, StepKind] = {}
    while len(ordered) < len(found):
        ready = sorted(k for k, v in found.items() if k not in ordered and all(need in ordered for need in (*v.needs, *v.follows)))
        assert ready, f"the needs of the step kinds form a cycle: {sorted(set(found) - set(ordered))}"
        ordered.update((k, found[k]) for k in ready)
    return tuple(ordered.values())


def step_kind(name: str) -> StepKind:
    """The kind of that name. Raises: StopIteration for one that there is not."""
    return next(kind for kind in step_kinds() if kind.kind == name)
