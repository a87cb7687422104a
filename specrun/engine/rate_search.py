"""A range test by itself: the steps that runs share, up to the one that finds the learning rate. No run is begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from specrun.engine.ending import as_error
from specrun.engine.plan import Plan, Request
from specrun.engine.prepare import prepare_one
from specrun.engine.readiness import check_ready
from specrun.engine.shared import SharedStepEnded, run_shared
from specrun.events import Emit
from specrun.plan.finders import LEARNING_RATE
from specrun.plan.step import StepResult
from specrun.spec.assembly import Layer, LoadedSpec, relaid


def plan_search(loaded: LoadedSpec, request: Request, *, settings: Mapping[str, Any]) -> Plan:
    """The plan of a spec whose learning rate is left to the range test, whatever it says. settings: of the test.

    Raises: SpecError for a spec that cannot be planned.
    """
    checked = relaid(loaded, [Layer("lr-find", {"schedule.optimizer.learning_rate": "auto"})])
    assert checked.loaded is not None, checked.diagnostics
    return prepare_one(replace(request, source=checked.loaded, settings={LEARNING_RATE: settings} if settings else {}))


def search(prepared: Plan, *, show: Emit) -> StepResult:
    """The finished range test; run now, with what it needs, where it is not there yet. Raises SpecrunError for what ends a step."""
    found = prepared.workspace.result(LEARNING_RATE, prepared.decision(LEARNING_RATE).step.key)
    if found is not None:
        return found
    prepared.workspace.prepare()
    try:
        _, shared, _ = run_shared(prepared, show=show, tally=[], ready=partial(check_ready, show=show))
    except SharedStepEnded as ended:
        raise as_error(ended.failure, prepared.workspace.store) from ended.failure
    return shared[LEARNING_RATE]
