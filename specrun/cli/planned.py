"""What is said about a plan before anything is run; shared by `plan` and `apply`."""

from __future__ import annotations

import sys

from specrun.engine.folds import PlanOfFolds
from specrun.engine.plan import Plan


def warn(plan: Plan | PlanOfFolds) -> None:
    """Show the spec's warnings, and those about its memory, on standard error."""
    if plan.loaded.warnings:
        from specrun.spec.render import render_text

        print(render_text(plan.loaded.warnings), file=sys.stderr)
