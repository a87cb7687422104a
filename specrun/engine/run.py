"""One run, from its first step to its report: executes what has to run, keeps what is finished, writes the outcome."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from specrun.engine.ending import as_error, ended_by
from specrun.engine.gates import judge
from specrun.engine.history import append_history
from specrun.engine.labels import relabel_run
from specrun.engine.lineage import run_to_begin
from specrun.engine.outcome import Run, StepOutcome, gather_metrics
from specrun.engine.plan import Plan
from specrun.engine.running import AlertCodes, actual_costs, artifact_events, make_context, run_step, seal
from specrun.engine.session import RunSession, utc_now
from specrun.errors import InterruptedRun, SpecrunError
from specrun.events import Alert, Emit, Message, RunStatus
from specrun.plan.past import Past
from specrun.plan.predict import as_timed, step_signature, training_work
from specrun.plan.start import start_of
from specrun.plan.step import Decision, StepResult
from specrun.records.course import course_until
from specrun.records.documents import DamagedRecord
from specrun.records.run_files import read_final, read_run
from specrun.records.seeds import ENDED_WELL
from specrun.runtime.signals import StopNow, StopSignals
from specrun.steps.contract import StepInput
from specrun.training.checkpoint_files import checkpoints


@dataclass(slots=True)
class _Work:
    """A run in the making: what is given, and what has been gathered so far. results: by step kind, shared ones first."""

    prepared: Plan
    signals: StopSignals
    tally: list[StepOutcome]
    results: dict[str, StepResult]
    own: list[StepResult] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def metrics(self) -> dict[str, float]:
        return gather_metrics([result.values for result in self.own])

    @property
    def stop_reason(self) -> str:
        """Why training ended before its last step, where it did."""
        return next((str(result.values.get("stop_reason", "")) for result in self.own if result.kind == "train"), "")


def execute_run(
    prepared: Plan, *, seed: int, shared: Mapping[str, StepResult], show: Emit, signals: StopSignals, tally: list[StepOutcome]
) -> Run:
    """Run, resume or find finished the run of one seed. Whatever ends it is part of the outcome."""
    decisions = [d for d in prepared.decisions if d.step.seed == seed]
    work = _Work(prepared, signals, tally, dict(shared))
    if all(d.action == "cached" for d in decisions):
        return _cached(work, decisions, seed=seed, show=show)
    run_id = run_to_begin(prepared, decisions[0].step)
    try:
        read_run(prepared.workspace.runs / run_id)
    except DamagedRecord as damaged:  # nothing can be added to it; the other seeds' runs are whole
        return _outcome(work, decisions, seed=seed, run_id=run_id, status="failed", error=damaged, cached=False)
    error: SpecrunError | None = None
    with RunSession(prepared, run_id=run_id, seed=seed, show=show, shared=shared) as session:
        try:
            if session.describes:
                _record_shared(work, session, shared)
            _do_all(work, session, decisions)
        except (Exception, StopNow) as failure:
            if os.environ.get("SPECRUN_DEBUG"):
                raise
            error = as_error(failure, session.folder)
            _end(work, session, decisions, error)
    if session.attempt > 1:
        relabel_run(prepared.workspace.store, run_id, prepared.name, prepared.loaded.spec.tags)
    return _outcome(work, decisions, seed=seed, run_id=run_id, status=session.finished or "failed", error=error, cached=False)


def _record_shared(work: _Work, session: RunSession, shared: Mapping[str, StepResult]) -> None:
    for decision in work.prepared.decisions:
        if decision.step.seed is None and decision.step.id in shared:
            result = shared[decision.step.id]
            session.record_step(decision, actual_costs(result, work.prepared.workspace.store / result.folder))
            for code, warning in zip(result.warning_codes, result.warnings, strict=True):
                session.note(Alert("warning", code, warning))


def _do_all(work: _Work, session: RunSession, decisions: Sequence[Decision]) -> None:
    for decision in decisions:
        if work.prepared.kinds[decision.step.kind].describes_run and session.finished is None:
            _finish(work, session)
        _do(work, session, decision)
    if session.finished is None:
        _finish(work, session)


def _do(work: _Work, session: RunSession, decision: Decision) -> None:
    step, workspace = decision.step, work.prepared.workspace
    kind = work.prepared.kinds[step.kind]
    if decision.action == "cached":
        result = workspace.result(step.kind, step.key)
        assert result is not None
        _keep(work, decision, result, seconds=0.0)  # recorded when it ran, with what it took
        return
    if (number := work.signals.requested()) is not None:
        raise InterruptedRun(f"signal {number} ended the run before {step.id}", signal_number=number,
                             hint="apply again goes on from there")  # fmt: skip
    verb = "continued" if decision.action == "resume" else "started"
    session.emit(Message(f"{step.id}: {verb} ({decision.reason})"))
    session.record_step(decision, {})
    started = time.monotonic()
    codes = AlertCodes(session.emit, step.kind)
    context = make_context(work.prepared, step, session.folder, emit=codes.emit, signals=work.signals, run_id=session.run_id)
    if (start := start_of(step.label)) is not None and start.exact and not checkpoints(session.folder / "checkpoints", key=step.key):
        for earlier in course_until(workspace.runs / start.run_id, start.step):
            session.note(earlier)  # the key is that of training from the start: so are the records
    finished = {need: work.results[need] for need in kind.needs if need in work.results}
    inputs = {need: StepInput(workspace.store / result.folder, result) for need, result in finished.items()}
    with work.signals.polite() if kind.resumable else nullcontext():
        output = run_step(kind, context, work.prepared.loaded.spec, inputs)
    result = seal(
        step, session.folder, output, store=workspace.store, started=started, finished_at=utc_now(), run_id=session.run_id, codes=codes
    )
    workspace.save_result(step, result, version=kind.version)
    _remember(work.prepared, result)
    for event in artifact_events(result):
        session.emit(event)
    session.record_step(decision, actual_costs(result, session.folder))
    _keep(work, decision, result, seconds=result.seconds)


def _keep(work: _Work, decision: Decision, result: StepResult, *, seconds: float) -> None:
    work.results[decision.step.kind] = result
    work.own.append(result)
    work.tally.append(StepOutcome(decision.step.id, decision.action, seconds))


def _finish(work: _Work, session: RunSession) -> None:
    """Write the run's outcome before anything describes it."""
    values = {kind: result.values for kind, result in work.results.items()}
    train, evaluation = values.get("train", {}), values.get("evaluate", {})
    stopped = any(result.values.get("status") == "stopped_early" for result in work.own)
    session.finish(
        "stopped_early" if stopped else "completed",
        work.stop_reason,
        metrics=work.metrics,
        gates=judge(work.prepared.loaded.spec.expect, work.metrics),
        seconds=sum(float(result.values.get("seconds", result.seconds)) for result in work.own),
        facts={
            "best_step": train.get("best_step"),
            "evaluation": {name: evaluation[name] for name in ("sums", "baselines") if name in evaluation},
            "training": {name: value for name, value in train.items() if name != "metrics"},
        },
    )


def _end(work: _Work, session: RunSession, decisions: Sequence[Decision], error: SpecrunError) -> None:
    """Write how a run ended that did not reach its end, unless its outcome stands: this attempt's, where its report failed; an
    earlier one's, where the training was not touched and judging it again failed."""
    if session.finished is not None:
        return
    status, reason = ended_by(error)
    trained = any(d.action != "cached" and work.prepared.kinds[d.step.kind].resumable for d in decisions)
    if trained or not session.let_outcome_stand(status, reason):
        session.finish(status, reason, metrics=work.metrics, hint=error.hint)


def _remember(prepared: Plan, result: StepResult) -> None:
    """Add to the history that later predictions learn from: of a training, the work that was really done.

    One whose compiling failed is neither of those that compile nor of the others.
    """
    compilation = result.values.get("compilation", {})
    if compilation.get("failed"):
        return
    compile_seconds = float(compilation.get("seconds", 0.0))
    forecast, seconds = prepared.forecast, result.seconds
    work = 0.0 if result.kind == "train" else float(forecast.facts.text_bytes or 0)
    steps, rate, step_work = 0, 0.0, 0.0
    signature = step_signature(result.kind, prepared.loaded.spec, training=prepared.signature)
    if result.kind == "train" and forecast.cost is not None and forecast.schedule is not None:
        steps = int(result.values["steps"])
        schedule = as_timed(forecast.schedule, prepared.loaded.spec, tokens_per_second=result.values["tokens_per_second"])
        work = training_work(forecast.cost, schedule, forecast.facts, steps=steps)
        seconds = float(result.values["seconds"]) - compile_seconds
        computed = forecast.schedule.positions_per_step / forecast.schedule.tokens_per_step
        rate = float(forecast.cost.flops_per_token * result.values["tokens_per_second"]) * computed
        step_work = float(forecast.cost.flops_per_token) * forecast.schedule.positions_per_step
    past = Past(result.kind, signature, prepared.hardware.name, work, seconds, steps, rate, compile_seconds, step_work)
    append_history(prepared.workspace.history_file, past)


def _cached(work: _Work, decisions: Sequence[Decision], *, seed: int, show: Emit) -> Run:
    for decision in decisions:
        result = work.prepared.workspace.result(decision.step.kind, decision.step.key)
        assert result is not None
        work.own.append(result)
        work.tally.append(StepOutcome(decision.step.id, "cached", 0.0))
    run_id = work.own[0].run_id
    assert run_id is not None
    spec, workspace = work.prepared.loaded.spec, work.prepared.workspace
    status: RunStatus = "failed"
    error: SpecrunError | None = None
    try:
        final = read_final(workspace.runs / run_id)
        status = final["status"] if final else "failed"
        if relabel_run(workspace.store, run_id, spec.name, spec.tags):
            show(Message(f"{run_id} goes by the name {spec.name} now{', tagged ' + ', '.join(spec.tags) if spec.tags else ''}"))
    except DamagedRecord as damaged:
        error = damaged
    return _outcome(work, decisions, seed=seed, run_id=run_id, status=status, error=error, cached=True)


def _outcome(
    work: _Work, decisions: Sequence[Decision], *, seed: int, run_id: str, status: RunStatus, error: SpecrunError | None, cached: bool
) -> Run:
    folder: Path = work.prepared.workspace.runs / run_id
    artifacts = {facts["role"]: str(folder / name) for result in work.own for name, facts in result.artifacts.items()}
    predicted = [d.predicted.seconds for d in decisions if d.action in ("run", "resume") and d.predicted.seconds is not None]
    return Run(
        run_id=run_id,
        name=work.prepared.name,
        seed=seed,
        status=status,
        folder=folder,
        metrics=work.metrics,
        artifacts=artifacts,
        gates=() if error else judge(work.prepared.loaded.spec.expect, work.metrics),
        report=next((path for role, path in artifacts.items() if role.startswith("report")), None),
        cached=cached,
        seconds=0.0 if cached else time.monotonic() - work.started,
        predicted_seconds=sum(predicted) if predicted else None,
        error=error,
        reason=work.stop_reason if error is None or status in ENDED_WELL else ended_by(error)[1],
        fold=work.prepared.fold,
    )
