"""The record of runs that ended before their first step: a step that they share failed or was interrupted."""

from __future__ import annotations

import time
from collections.abc import Sequence

from specrun.engine.ending import as_error, ended_by
from specrun.engine.lineage import run_to_record
from specrun.engine.outcome import Run
from specrun.engine.plan import Plan
from specrun.engine.running import actual_costs
from specrun.engine.session import RunSession
from specrun.engine.shared import SharedStepEnded
from specrun.errors import SpecrunError, StoreError
from specrun.events import Emit
from specrun.plan.step import Decision


def record_unstarted(ended: SharedStepEnded, *, show: Emit, began: float) -> tuple[Run, ...]:
    """Write a run a seed that would have trained, with what ended it. began: when the apply did, by the monotonic clock.

    Raises the failure itself where no run was to be trained, or where the store takes no record either.
    """
    prepared, failure = ended.prepared, ended.failure
    error = as_error(failure, prepared.workspace.store)
    cause = None if error is failure else failure
    waiting = [(seed, decisions) for seed, decisions in _by_seed(prepared) if decisions[0].action in ("run", "resume")]
    if not waiting:
        raise error from cause
    try:
        return tuple(_record(ended, error, seed=seed, decisions=decisions, show=show, began=began) for seed, decisions in waiting)
    except (OSError, StoreError):
        raise error from cause


def _by_seed(prepared: Plan) -> list[tuple[int, list[Decision]]]:
    return [(seed, [d for d in prepared.decisions if d.step.seed == seed]) for seed in prepared.loaded.spec.seeds]


def _record(ended: SharedStepEnded, error: SpecrunError, *, seed: int, decisions: Sequence[Decision], show: Emit, began: float) -> Run:
    prepared = ended.prepared
    workspace = prepared.workspace
    status, reason = ended_by(error)
    run_id = run_to_record(prepared, decisions[0].step)
    with RunSession(prepared, run_id=run_id, seed=seed, show=show, shared=ended.shared, data_ready=False) as session:
        for decision in prepared.decisions:
            result = ended.shared.get(decision.step.id)
            if decision.step.seed is None and result is not None:
                session.record_step(decision, actual_costs(result, workspace.store / result.folder))
        if ended.decision is not None:
            session.record_step(ended.decision, {})
        session.finish(status, reason, metrics={}, hint=error.hint)
    return Run(
        run_id=run_id,
        name=prepared.name,
        seed=seed,
        status=status,
        folder=workspace.runs / run_id,
        metrics={},
        artifacts={},
        gates=(),
        report=None,
        cached=False,
        seconds=time.monotonic() - began,
        predicted_seconds=None,
        error=error,
        reason=reason,
        fold=prepared.fold,
    )
