"""The data of a spec by itself: loaded, split and checked as a run would have it, and prepared where that is soon done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specrun.engine.ending import as_error
from specrun.engine.facts import text_bytes
from specrun.engine.plan import Plan
from specrun.engine.shared import SharedStepEnded, run_shared
from specrun.errors import SpecrunError
from specrun.events import Emit
from specrun.plan.step import StepResult
from specrun.steps.data.described import describe

SOON_BYTES = 64 * 2**20
"""Data of at most so many bytes is prepared to be looked at; of more, what an apply has prepared already is told."""


@dataclass(frozen=True, slots=True)
class DataView:
    """What there is to see of the data. document: see `steps.data.described`; failure: what kept it from being prepared."""

    document: Mapping[str, Any]
    failure: SpecrunError | None = None


def look_at_data(prepared: Plan, *, show: Emit) -> DataView:
    """Run the `data` step, and the steps that prepare what training reads, as far as they are not there yet. Raises SpecrunError where
    there is no data to look at."""
    prepared.workspace.prepare()
    spec, store = prepared.loaded.spec, prepared.workspace.store
    try:
        prepared, results, _ = _run(prepared, show, {"data"})
    except SharedStepEnded as ended:
        raise as_error(ended.failure, store) from ended.failure
    further = set(spec.task.prepared_by)
    failure: SpecrunError | None = None
    why = ""
    if text_bytes(results["data"].values) <= SOON_BYTES or not _is_to_run(prepared, further):
        try:
            _, results, _ = _run(prepared, show, {"data", *further})
        except SharedStepEnded as ended:
            failure, results = as_error(ended.failure, store), ended.shared
            why = failure.message
    else:
        why = f"more than {SOON_BYTES // 2**20} MiB of data: specrun apply prepares it"
    document = describe(spec, {kind: (store / result.folder, result) for kind, result in results.items()}, not_prepared=why)
    return DataView({"name": prepared.name, **document}, failure)


def _run(prepared: Plan, show: Emit, only: set[str]) -> tuple[Plan, dict[str, StepResult], Any]:
    return run_shared(prepared, show=show, tally=[], ready=lambda plan, _: plan, only=only)


def _is_to_run(prepared: Plan, kinds: set[str]) -> bool:
    return any(decision.action == "run" for decision in prepared.decisions if decision.step.kind in kinds)
