"""One attempt at one run: its folder, journal and outcome. Entered before the run's first step, left after its last.

Owns run.json, final.json, the active marker and the status of the run. Which steps run is `engine.run`'s business.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.engine.environment import packages, python_version
from specrun.engine.experiment import experiment_digest
from specrun.engine.gates import GateOutcome
from specrun.engine.plan import Plan
from specrun.engine.repository import git_state
from specrun.engine.secrecy import process_mask
from specrun.events import Alert, Emit, Event, RunStatus, Status, StepRecord
from specrun.plan.start import start_of
from specrun.plan.step import Decision, Predicted, Step, StepResult
from specrun.records.journal import Journal
from specrun.records.journal_reader import next_attempt
from specrun.records.run_files import last_outcome, mark_active, read_run, unmark_active, write_final, write_run
from specrun.records.seeds import ENDED_WELL
from specrun.spec.dump import dump
from specrun.spec.metrics import declared_by
from specrun.spec.own_parts import code_digests
from specrun.spec.own_path import is_own
from specrun.spec.resolved import origins
from specrun.spec.text import shown_name


class RunSession:
    """A context manager. `emit` records and shows; `finish` writes the outcome once.

    data_ready: whether what the run shares with others is finished. An attempt that ended before is described, and the first one
    that comes further describes the run for good. describes: whether this attempt wrote run.json.
    """

    def __init__(
        self, prepared: Plan, *, run_id: str, seed: int, show: Emit, shared: Mapping[str, StepResult], data_ready: bool = True
    ) -> None:
        self.run_id = run_id
        self.seed = seed
        self.folder: Path = prepared.workspace.runs / run_id
        self.finished: RunStatus | None = None
        self.describes = False
        self._prepared = prepared
        self._show = show
        self._shared = shared
        self._data_ready = data_ready
        self._started = time.monotonic()
        self._mask = process_mask()

    def __enter__(self) -> RunSession:
        workspace = self._prepared.workspace
        self.attempt = attempt = next_attempt(self.folder)
        known = read_run(self.folder)
        self.describes = known is None or not known.get("data_ready", True)
        if self.describes:
            document = run_document(self._prepared, run_id=self.run_id, seed=self.seed, shared=self._shared, data_ready=self._data_ready)
            if known is not None:
                document["started_at"] = known["started_at"]
            write_run(self.folder, document, again=known is not None)
        mark_active(workspace.store, self.run_id)
        self._journal = Journal.open(self.folder, run_id=self.run_id, attempt=attempt)
        self._journal.emit(Status("running", "started" if attempt == 1 else f"attempt {attempt}"))
        for warning in self._prepared.loaded.warnings:
            self.note(Alert("warning", warning.code, warning.message))
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()
        unmark_active(self._prepared.workspace.store, self.run_id)

    def emit(self, event: Event) -> None:
        """Record an event and show it."""
        self.note(event)
        self._show(event)

    def note(self, event: Event) -> None:
        """Record an event that has been shown before, without credentials."""
        self._journal.emit(self._mask.event(event))

    def record_step(self, decision: Decision, actual: Mapping[str, float]) -> None:
        """Record a plan step of this run with what it took; empty while it is still to run."""
        step = decision.step
        self.emit(StepRecord(step.id, step.kind, step.key, decision.action, decision.reason, predicted_costs(decision.predicted), actual))

    def finish(
        self,
        status: RunStatus,
        reason: str,
        *,
        metrics: Mapping[str, float],
        gates: Sequence[GateOutcome] = (),
        seconds: float | None = None,
        facts: Mapping[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        """Write the outcome. seconds: work of all attempts, where it is known. facts: further plain JSON
        for final.json (sums of the evaluation, the best step). hint: what to do about a failure."""
        self.finished = status
        reason = self._mask.text(reason)
        self._journal.emit(Status(status, reason))
        self._journal.sync()
        document = {
            "status": status,
            "reason": reason,
            "finished_at": utc_now(),
            "duration_s": time.monotonic() - self._started if seconds is None else seconds,
            "metrics": dict(metrics),
            **({"hint": self._mask.text(hint)} if hint else {}),
            "gates": [{"expression": g.expression, "passed": g.passed, "value": g.value} for g in gates],
            **self._asked_since(),
            **(facts or {}),
        }
        write_final(self.folder, document)

    def let_outcome_stand(self, status: RunStatus, reason: str) -> bool:
        """Record an attempt that failed at what an earlier one came to the end of, and keep that one's outcome. Returns whether
        there is one that ended well."""
        outcome = last_outcome(self.folder)
        if outcome is None or outcome.get("status") not in ENDED_WELL:
            return False
        self.finished = status
        self._journal.emit(Status(status, self._mask.text(reason)))
        self._journal.sync()
        write_final(self.folder, {name: value for name, value in outcome.items() if name != "attempt"})
        return True

    def _asked_since(self) -> dict[str, Any]:
        """The spec of this attempt, where it says other than run.json: what is asked of the report and the evaluation may change."""
        loaded = self._prepared.loaded
        spec = dump(loaded.spec)
        first = read_run(self.folder) or {}
        if first.get("spec") == spec:
            return {}
        return {"spec": spec, "provenance": origins(loaded), "experiment": _experiment(self._prepared, first.get("data") or {})}


def _experiment(prepared: Plan, data: Mapping[str, Any]) -> str:
    # What was found for one fold, such as a learning rate, is no trait of the experiment that all are of.
    spec = prepared.loaded.spec if prepared.fold is None else prepared.asked.spec
    return experiment_digest(spec, data, device=prepared.hardware.identity, inputs=prepared.inputs)


def run_document(prepared: Plan, *, run_id: str, seed: int, shared: Mapping[str, StepResult], data_ready: bool) -> dict[str, Any]:
    """What run.json holds: everything needed to say later what was run, and to run it again, without credentials.

    command is None for a run that no command line began.
    """
    loaded, hardware, mask = prepared.loaded, prepared.hardware, process_mask()
    git = mask.repository(git_state(Path.cwd()))
    command = prepared.request.command
    data = shared["data"].values if "data" in shared else {}
    start = next((it for d in prepared.decisions if d.step.seed == seed and (it := start_of(d.step.label)) is not None), None)
    document = {
        "format_version": 1,
        "run_id": run_id,
        "name": loaded.spec.name,
        "tags": list(loaded.spec.tags),
        "task": loaded.spec.task.kind,
        "seed": seed,
        **({} if prepared.fold is None else {"fold": prepared.fold.number, "folds": prepared.fold.of}),
        "started_at": utc_now(),
        "experiment": _experiment(prepared, data),
        "spec_file": loaded.file,
        "provenance": origins(loaded),
        "plan": [_planned(d) for d in prepared.decisions if d.step.seed in (None, seed)],
        "command": None if command is None else shown_name(shlex.join(["specrun", *command])),
        "git": asdict(git),
        "packages": packages(),
        "python": python_version(),
        "hardware": {**asdict(hardware), "reasons": list(hardware.reasons), "precision": hardware.precision.value},
        "data": dict(data),
        "data_ready": data_ready,
        "shared": {id: result.folder for id, result in shared.items()},
        "comparable": bool(data.get("comparable", True)),
        "parent": None if start is None else start.run_id,
        "start": None if start is None else start.to_json(),
        "smoke": prepared.request.smoke,
        "own_code": code_digests(loaded.spec),
        **({"declares": declared_by(loaded.spec.task).to_json()} if is_own(loaded.spec.task.kind) else {}),
    }
    # Not masked: a spec is refused when it holds a credential, and a changed value would make it another spec.
    return {**mask.tree(document), "spec": dump(loaded.spec), "spec_digest": loaded.digest}


def predicted_costs(predicted: Predicted) -> dict[str, float]:
    """A prediction as a record keeps it: unknown quantities are absent."""
    costs = {"seconds": predicted.seconds, "memory_bytes": predicted.memory_bytes, "disk_bytes": predicted.disk_bytes}
    return {name: float(value) for name, value in costs.items() if value is not None}


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _planned(decision: Decision) -> dict[str, Any]:
    step: Step = decision.step
    return {
        "id": step.id,
        "kind": step.kind,
        "key": step.key,
        "action": decision.action,
        "reason": decision.reason,
        "predicted": {**predicted_costs(decision.predicted), "basis": decision.predicted.basis},
    }
