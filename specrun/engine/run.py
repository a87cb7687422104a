"""One run, from its first step to its report: executes what has to run, keeps what is finished, writes the outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from specrun.engine.history import append_history
from specrun.engine.outcome import RunOutcome, StepOutcome, gather_metrics
from specrun.engine.prepare import Prepared
from specrun.engine.running import actual_costs, artifact_events, make_context, run_step, seal
from specrun.engine.session import RunSession, utc_now
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Emit, Message, RunStatus
from specrun.plan.predict import Past
from specrun.plan.step import Decision, StepResult
from specrun.records.run_files import read_final
from specrun.runtime.signals import StopNow, StopSignals
from specrun.spec.gates import GateOutcome, parse_gate
from specrun.steps.contract import StepInput


@dataclass(slots=True)
class _State:
    """What has been gathered while the steps of a run are gone through."""

    results: dict[str, StepResult]
    """By step kind: shared ones first, then the run's own as they finish."""
    own: list[StepResult] = field(default_factory=list)
    worked_seconds: float = 0.0


def execute_run(
    prepared: Prepared, *, seed: int, shared: Mapping[str, StepResult], show: Emit, signals: StopSignals, tally: list[StepOutcome]
) -> RunOutcome:
    """Run, resume or find finished the run of one seed. A failure is part of the outcome; a second signal still raises StopNow."""
    decisions = [d for d in prepared.decisions if d.step.seed == seed]
    state = _State(dict(shared))
    if all(d.action == "cached" for d in decisions):
        return _cached(prepared, decisions, state, seed=seed, tally=tally)
    run_id = _run_id(prepared, decisions)
    error: SpecrunError | None = None
    with RunSession(prepared, run_id=run_id, seed=seed, show=show, shared=shared) as session:
        for decision in prepared.decisions:
            if decision.step.seed is None and decision.step.id in shared:
                result = shared[decision.step.id]
                session.record_step(decision, actual_costs(result, prepared.workspace.store / result.folder))
        try:
            for decision in decisions:
                if prepared.kinds[decision.step.kind].describes_run and session.finished is None:
                    _finish(prepared, session, state)
                _do(prepared, decision, session, state, signals, tally)
            if session.finished is None:
                _finish(prepared, session, state)
        except SpecrunError as failure:
            error = failure
            status: RunStatus = "interrupted" if isinstance(failure, InterruptedRun) else "failed"
            if session.finished is None:
                session.finish(status, f"{failure.code}: {failure.message}", metrics=_metrics(state))
        except StopNow:
            if session.finished is None:
                session.finish("interrupted", "stopped at once by a second signal", metrics=_metrics(state))
            raise
        except Exception as failure:
            if session.finished is None:
                session.finish("failed", f"{type(failure).__name__}: {failure}", metrics=_metrics(state))
            raise
    return _outcome(prepared, decisions, state, seed=seed, run_id=run_id, error=error, cached=False)


def _do(
    prepared: Prepared, decision: Decision, session: RunSession, state: _State, signals: StopSignals, tally: list[StepOutcome]
) -> None:
    step, workspace = decision.step, prepared.workspace
    kind = prepared.kinds[step.kind]
    if decision.action == "cached":
        result = workspace.result(step.kind, step.key)
        assert result is not None
        _keep(session, state, decision, result, tally, seconds=0.0)
        return
    session.emit(Message(f"{step.id}: {decision.reason}"))
    session.record_step(decision, {})
    started = time.time()
    context = make_context(
        prepared, step, session.folder, emit=session.emit, stop_requested=signals.requested, run_id=session.run_id
    )
    inputs = {need: StepInput(workspace.store / state.results[need].folder, state.results[need]) for need in kind.needs}
    with signals.polite() if kind.resumable else nullcontext():
        output = run_step(kind, context, prepared.loaded.spec, inputs)
    result = seal(step, session.folder, output, store=workspace.store, started=started, finished_at=utc_now(), run_id=session.run_id)
    workspace.save_result(step, result, version=kind.version)
    _remember(prepared, result)
    state.worked_seconds += result.seconds
    for event in artifact_events(result):
        session.emit(event)
    _keep(session, state, decision, result, tally, seconds=result.seconds)


def _keep(session: RunSession, state: _State, decision: Decision, result: StepResult, tally: list[StepOutcome], *, seconds: float) -> None:
    state.results[decision.step.kind] = result
    state.own.append(result)
    session.record_step(decision, actual_costs(result, session.folder) if seconds else {})
    tally.append(StepOutcome(decision.step.id, decision.action, seconds))


def _finish(prepared: Prepared, session: RunSession, state: _State) -> None:
    """Write the run's outcome before anything describes it."""
    metrics = _metrics(state)
    values = {kind: result.values for kind, result in state.results.items()}
    train, evaluation = values.get("train", {}), values.get("evaluate", {})
    session.finish(
        _status(state),
        str(train.get("stop_reason", "")),
        metrics=metrics,
        gates=_gates(prepared, metrics),
        seconds=sum(float(r.values.get("seconds", r.seconds)) for r in state.own),
        facts={
            "best_step": train.get("best_step"),
            "evaluation": {name: evaluation[name] for name in ("sums", "unigram_entropy") if name in evaluation},
            "training": {name: value for name, value in train.items() if name != "metrics"},
        },
    )


def _status(state: _State) -> RunStatus:
    stopped = any(result.values.get("status") == "stopped_early" for result in state.own)
    return "stopped_early" if stopped else "completed"


def _metrics(state: _State) -> dict[str, float]:
    return gather_metrics([result.values for result in state.own])


def _gates(prepared: Prepared, metrics: Mapping[str, float]) -> tuple[GateOutcome, ...]:
    return tuple(parse_gate(expression).judge(metrics) for expression in prepared.loaded.spec.expect)


def _remember(prepared: Prepared, result: StepResult) -> None:
    """Add to the history that later predictions learn from."""
    work = prepared.forecast.flops if result.kind == "train" else 0.0
    seconds = result.seconds
    signature = result.key
    if result.kind == "train":
        exact = result.values.get("flops")
        work = float(exact) if exact else (work or 0.0)
        seconds = float(result.values.get("seconds", seconds))
        signature = prepared.signature
    append_history(prepared.workspace.history_file, Past(result.kind, signature, prepared.hardware.name, work or 0.0, seconds))


def _run_id(prepared: Prepared, decisions: list[Decision]) -> str:
    """The run that this lineage belongs to: the one its first step was started in, else a new one."""
    first = decisions[0].step
    return prepared.workspace.run_of_key(first.key) or prepared.workspace.new_run(prepared.plan.name, first.key)


def _cached(
    prepared: Prepared, decisions: list[Decision], state: _State, *, seed: int, tally: list[StepOutcome]
) -> RunOutcome:
    for decision in decisions:
        result = prepared.workspace.result(decision.step.kind, decision.step.key)
        assert result is not None
        state.own.append(result)
        state.results[decision.step.kind] = result
        tally.append(StepOutcome(decision.step.id, "cached", 0.0))
    run_id = state.own[0].run_id
    assert run_id is not None
    return _outcome(prepared, decisions, state, seed=seed, run_id=run_id, error=None, cached=True)


def _outcome(
    prepared: Prepared, decisions: list[Decision], state: _State, *, seed: int, run_id: str, error: SpecrunError | None, cached: bool
) -> RunOutcome:
    folder: Path = prepared.workspace.runs / run_id
    final = read_final(folder) or {}
    metrics = _metrics(state)
    artifacts = {facts["role"]: str(folder / name) for result in state.own for name, facts in result.artifacts.items()}
    predicted = [d.predicted.seconds for d in decisions if d.action in ("run", "resume") and d.step.kind == "train"]
    status: RunStatus = final.get("status", "failed") if error is None or final else "failed"
    return RunOutcome(
        run_id=run_id,
        name=prepared.plan.name,
        seed=seed,
        status=status,
        folder=folder,
        metrics=metrics,
        artifacts=artifacts,
        gates=() if error else _gates(prepared, metrics),
        report=next((path for role, path in artifacts.items() if role.startswith("report")), None),
        cached=cached,
        seconds=state.worked_seconds,
        predicted_seconds=predicted[0] if predicted else None,
        error=error,
    )
