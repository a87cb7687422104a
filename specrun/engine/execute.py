"""Executes a plan: shared steps once, then a run a seed; locks, caching, records and the outcome around them."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace

from specrun.engine.history import append_history
from specrun.engine.locks import hold, wait_for
from specrun.engine.outcome import Outcome, RunOutcome, StepOutcome
from specrun.engine.prepare import Prepared, refresh, without_retries
from specrun.engine.run import execute_run
from specrun.engine.running import AlertCodes, make_context, run_step, seal
from specrun.engine.session import utc_now
from specrun.errors import InterruptedRun, StoreError
from specrun.events import Action, Emit, Message
from specrun.plan.predict import Past
from specrun.plan.step import Decision, StepKind, StepResult
from specrun.runtime.signals import StopNow, StopSignals
from specrun.steps.contract import StepInput

_OS_ERRORS = {errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EACCES: "permission-denied", errno.EROFS: "read-only-file-system"}


def execute(prepared: Prepared, *, show: Emit) -> Outcome:
    """Do what the plan says. Raises SpecrunError for a shared step's failure; a run's own failure is part of the outcome."""
    signals = StopSignals()
    tally: list[StepOutcome] = []
    try:
        with ExitStack() as locks, signals.listening():
            if prepared.changes_anything:
                prepared.workspace.prepare()
                held = _lock_runs(prepared, locks, held=frozenset())
                prepared, shared = _run_shared(prepared, show=show, tally=tally)
                _lock_runs(prepared, locks, held=held)
            else:
                shared = _finished_shared(prepared, tally)
            runs = _run_seeds(prepared, shared, show=show, signals=signals, tally=tally)
    except StopNow as stop:
        raise InterruptedRun(
            f"stopped by signal {stop.number}", signal_number=stop.number, hint="apply again continues from what was finished"
        ) from None
    except OSError as error:
        raise StoreError(
            f"{error.filename or prepared.workspace.store}: {error.strerror}",
            code=_OS_ERRORS.get(error.errno or 0, "file-system-error"),
            hint="free some space or choose another store with --store DIR, then apply again: finished steps are kept",
        ) from error
    if prepared.changes_anything:
        merge_records(prepared)
    return Outcome(tuple(runs), tuple(tally))


def merge_records(prepared: Prepared) -> None:
    """Bring the DuckDB snapshot up to date, in a process of its own: this one has trained and must not import duckdb."""
    command = [sys.executable, "-m", "specrun.records.store", "merge", str(prepared.workspace.store)]
    subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own module


def _lock_runs(prepared: Prepared, locks: ExitStack, *, held: frozenset[str]) -> frozenset[str]:
    """Hold every run's first step, so that a second apply of the same spec ends at once instead of training twice."""
    keys = set(held)
    for decision in prepared.decisions:
        step = decision.step
        if prepared.kinds[step.kind].scope == "run" and step.key not in keys and decision.action in ("run", "resume"):
            locks.enter_context(hold(prepared.workspace.lock_file(step), what=f"{prepared.plan.name}, step {step.id},"))
            keys.add(step.key)
    return frozenset(keys)


def _run_shared(prepared: Prepared, *, show: Emit, tally: list[StepOutcome]) -> tuple[Prepared, dict[str, StepResult]]:
    """Run what has to run. The plan that comes back keeps the decisions that were taken about these steps, for the record."""
    shared: dict[str, StepResult] = {}
    taken: dict[str, Decision] = {}
    for kind in prepared.kinds.values():
        if kind.scope != "shared":
            continue
        decision = taken[kind.kind] = prepared.decision(kind.kind)
        if decision.action == "run":
            result, action = _run_one_shared(prepared, kind, decision, shared, show)
            shared[kind.kind] = result
            tally.append(StepOutcome(kind.kind, action, result.seconds if action == "run" else 0.0))
            prepared = without_retries(refresh(prepared))
        else:
            found = prepared.workspace.result(kind.kind, decision.step.key)
            if found is not None:
                shared[kind.kind] = found
            tally.append(StepOutcome(kind.kind, decision.action, 0.0))
    decisions = tuple(taken.get(decision.step.id, decision) for decision in prepared.decisions)
    return replace(prepared, decisions=decisions), shared


def _finished_shared(prepared: Prepared, tally: list[StepOutcome]) -> dict[str, StepResult]:
    shared = {}
    for decision in prepared.decisions:
        if prepared.kinds[decision.step.kind].scope == "shared":
            tally.append(StepOutcome(decision.step.id, decision.action, 0.0))
            result = prepared.workspace.result(decision.step.kind, decision.step.key)
            if result is not None:
                shared[decision.step.id] = result
    return shared


def _run_one_shared(
    prepared: Prepared, kind: StepKind, decision: Decision, shared: dict[str, StepResult], show: Emit
) -> tuple[StepResult, Action]:
    step, workspace = decision.step, prepared.workspace
    show(Message(f"{step.id}: started ({decision.reason})"))
    with wait_for(workspace.lock_file(step), on_wait=lambda who: show(Message(f"{step.id}: waiting for another apply {who}"))):
        found = workspace.result(kind.kind, step.key)
        if found is not None and not found.values.get("fallback_used"):
            return found, "cached"
        started = time.time()
        folder = workspace.new_shared_folder(step)
        inputs = {need: StepInput(workspace.store / shared[need].folder, shared[need]) for need in kind.needs}
        codes = AlertCodes(show, step.kind)
        output = run_step(kind, make_context(prepared, step, folder, emit=codes.emit), prepared.loaded.spec, inputs)
        kept = workspace.keep_shared(step, folder)
        result = seal(step, kept, output, store=workspace.store, started=started, finished_at=utc_now(), run_id=None, codes=codes)
        workspace.save_result(step, result, version=kind.version)
        append_history(workspace.history_file, Past(step.kind, step.key, prepared.hardware.name, 0.0, result.seconds))
        return result, "run"


def _run_seeds(
    prepared: Prepared, shared: dict[str, StepResult], *, show: Emit, signals: StopSignals, tally: list[StepOutcome]
) -> list[RunOutcome]:
    runs = []
    for seed in prepared.loaded.spec.seeds:
        run = execute_run(prepared, seed=seed, shared=shared, show=show, signals=signals, tally=tally)
        runs.append(run)
        if isinstance(run.error, InterruptedRun):
            break
    return runs
