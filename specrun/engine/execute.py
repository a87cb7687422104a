"""Executes a plan: locks, shared steps once, then a run a seed, and the outcome of it all."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from specrun.engine.executors.helping import help_first_node
from specrun.engine.executors.nodes import this_node
from specrun.engine.folds import PlanOfFolds, outcome_in_fold, showing_fold
from specrun.engine.listener import Listener
from specrun.engine.locks import hold
from specrun.engine.merging import merge_records
from specrun.engine.outcome import Outcome, Run, StepOutcome
from specrun.engine.plan import Plan
from specrun.engine.prepare import refresh
from specrun.engine.readiness import check_ready
from specrun.engine.run import execute_run
from specrun.engine.shared import SharedStepEnded, as_taken, run_shared
from specrun.engine.smoke import sole_use
from specrun.engine.unstarted import record_unstarted
from specrun.errors import DataError, InterruptedRun, SpecrunError, StorageFailure, StoreError
from specrun.events import Emit, Message
from specrun.plan.step import StepResult
from specrun.records.atomic import storage_failure
from specrun.runtime.signals import StopNow, StopSignals
from specrun.spec.units import Quantity


def execute(prepared: Plan | PlanOfFolds, *, show: Emit) -> Outcome:
    """Do what the plan says, fold by fold where it is of several. What ends a run, or a step that runs share, is part of the outcome.

    show: called with every event, credentials masked; one that raises is told so by a warning and not called again.
    Raises SpecrunError for what ends an apply that trains nothing, and for a store that takes no records.
    """
    if isinstance(prepared, PlanOfFolds):
        return _execute_folds(prepared, show)
    listener = Listener(show)
    grace = prepared.loaded.spec.schedule.checkpoint.grace
    signals = StopSignals(on_request=lambda number: listener.show(_stopping(number, grace)), grace_seconds=grace.amount)
    try:
        with ExitStack() as held, signals.listening():
            if this_node(prepared.hardware.nodes).rank:
                return help_first_node(prepared, signals=signals, show=listener.show)
            return _execute(prepared, held, signals, listener.show)
    except StopNow as stop:
        raise InterruptedRun(
            f"stopped by signal {stop.number}", signal_number=stop.number, hint="apply again goes on from what was finished"
        ) from None
    except (OSError, StoreError) as error:
        store = prepared.workspace.store
        if not store.exists() and isinstance(error if isinstance(error, OSError) else error.__cause__, FileNotFoundError):
            raise _removed(store) from error
        raise error if isinstance(error, StoreError) else storage_failure(store, error) from error


def _execute_folds(prepared: PlanOfFolds, show: Emit) -> Outcome:
    """One fold after the other, to the first that ends them all. What a fold came to stands, whatever becomes of the next."""
    runs: list[Run] = []
    steps: list[StepOutcome] = []
    for number, part in enumerate(prepared.parts, 1):
        now = refresh(part) if runs else part  # what has been learnt of the folds before
        if now.changes_anything:
            show(Message(f"fold {number} of {len(prepared.parts)}"))
        found = outcome_in_fold(execute(now, show=showing_fold(show, number)), number)
        runs += found.runs
        steps += found.steps
        if any(_ends_all(run.error) or isinstance(run.error, DataError) for run in found.runs):
            break  # data that cannot be read is read by every fold
    return Outcome(tuple(runs), tuple(steps))


def _stopping(number: int, grace: Quantity) -> Message:
    again = "Ctrl-C again to end now" if number == signal.SIGINT else f"a second signal ends it now, as does a step of more than {grace}"
    return Message(f"stopping: a step under way is ended and saved; {again}")


def _removed(store: Path) -> StoreError:
    return StoreError(f"{store} was removed while it was worked in, with all that this apply had trained", code="store-removed",
                      hint="apply again begins anew")  # fmt: skip


def _execute(prepared: Plan, held: ExitStack, signals: StopSignals, show: Emit) -> Outcome:
    works = prepared.changes_anything
    if works:
        prepared.workspace.prepare()
    if prepared.request.smoke:
        held.enter_context(sole_use(prepared.workspace.store))
    keys: frozenset[str] = frozenset()
    if works:
        keys = _lock_runs(prepared, held, frozenset())
        # Another apply may have finished some of it between the plan and the lock.
        prepared = refresh(prepared)
    tally: list[StepOutcome] = []
    began = time.monotonic()
    try:
        prepared, shared, taken = run_shared(prepared, show=show, tally=tally, ready=partial(check_ready, show=show))
        if works:
            _lock_runs(prepared, held, keys)
            prepared = refresh(prepared)
        prepared = as_taken(prepared, taken)
        prepared = check_ready(prepared, shared, show=show)
        runs = tuple(_run_seeds(prepared, shared, signals=signals, show=show, tally=tally))
    except SharedStepEnded as ended:
        if os.environ.get("SPECRUN_DEBUG"):
            raise ended.failure from None
        runs = record_unstarted(ended, show=show, began=began)
    if works:
        merge_records(prepared.workspace.store, show=show)
    return Outcome(runs, tuple(tally))


def _lock_runs(prepared: Plan, held: ExitStack, keys: frozenset[str]) -> frozenset[str]:
    """Hold the first step of each run that is worked on, whether that step runs or not: it stands for the run's folder.

    A second apply of the same spec so ends at once instead of training twice. keys: of those held already.
    """
    taken = set(keys)
    for seed in prepared.loaded.spec.seeds:
        decisions = [d for d in prepared.decisions if d.step.seed == seed]
        if not any(d.action in ("run", "resume") for d in decisions):
            continue
        step = decisions[0].step
        # By its first key too: another apply may not know yet what this one has found out.
        for key in (prepared.first_keys[step.id], step.key):
            if key not in taken:
                held.enter_context(hold(prepared.workspace.lock_file(replace(step, key=key)), what=f"{prepared.name} (seed {seed})"))
                taken.add(key)
    return frozenset(taken)


def _run_seeds(prepared: Plan, shared: dict[str, StepResult], *, signals: StopSignals, show: Emit, tally: list[StepOutcome]) -> list[Run]:
    runs = []
    for seed in prepared.loaded.spec.seeds:
        run = execute_run(prepared, seed=seed, shared=shared, show=show, signals=signals, tally=tally)
        runs.append(run)
        if _ends_all(run.error):
            break
    return runs


def _ends_all(error: SpecrunError | None) -> bool:
    """Whether there is no point in going on with the next seed."""
    return isinstance(error, InterruptedRun | StorageFailure)
