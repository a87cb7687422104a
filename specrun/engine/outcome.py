"""What an apply came to, as values: the runs, the steps, the exit code."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from specrun.engine.gates import GateOutcome
from specrun.errors import GateFailed, SpecrunError
from specrun.events import Action, RunStatus
from specrun.records.seeds import ENDED_WELL
from specrun.spec.split_options import Fold


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """A step that apply dealt with."""

    id: str
    action: Action
    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """A run. artifacts: role -> path; report: of the run, None where no report was made. error: what ended it, or None. fold: of a
    cross-validation.

    reason: why it ended where it did, where it did not make every step of its duration: early stopping, a limit of time, or what is
    recorded of its error.
    """

    run_id: str
    name: str
    seed: int
    status: RunStatus
    folder: Path
    metrics: Mapping[str, float]
    artifacts: Mapping[str, str]
    gates: tuple[GateOutcome, ...]
    report: str | None
    cached: bool
    seconds: float
    predicted_seconds: float | None
    error: SpecrunError | None = None
    reason: str = ""
    fold: Fold | None = None

    @property
    def ended_well(self) -> bool:
        """Whether what was to be trained and evaluated was; its report may still be missing."""
        return self.status in ENDED_WELL

    @property
    def failed_after_end(self) -> bool:
        """Whether what went wrong came after the outcome stood: it is the report's matter, not the training's."""
        return self.error is not None and self.ended_well and not self.cached

    @property
    def failed_gates(self) -> tuple[GateOutcome, ...]:
        return tuple(gate for gate in self.gates if not gate.passed)


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """All of an apply."""

    runs: tuple[Run, ...]
    steps: tuple[StepOutcome, ...]

    @property
    def report(self) -> str | None:
        """Path of the first run's report."""
        return next((run.report for run in self.runs if run.report), None)

    @property
    def exit_code(self) -> int:
        errors = [run.error.exit_code for run in self.runs if run.error]
        if errors:
            return max(errors)
        return GateFailed.exit_code if any(run.failed_gates for run in self.runs) else 0

    def __str__(self) -> str:
        from specrun.engine.summary import summary_lines

        return "\n".join(summary_lines(self))

    def __repr__(self) -> str:
        return f"<Outcome {', '.join(f'{run.run_id} {run.status}' for run in self.runs) or 'without runs'}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def as_document(self) -> dict[str, Any]:
        """The `apply --json` document."""
        return {
            "format_version": 1,
            "runs": [_run_document(run) for run in self.runs],
            "steps": [{"id": step.id, "action": step.action, "seconds": round(step.seconds, 3)} for step in self.steps],
            "report": self.report,
            "exit_code": self.exit_code,
        }


def gather_metrics(values: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The metrics of a run from its steps' values; a later step's figure stands."""
    metrics: dict[str, float] = {}
    for step_values in values:
        metrics.update(step_values.get("metrics", {}))
    return metrics


def _run_document(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "name": run.name,
        "seed": run.seed,
        "fold": None if run.fold is None else run.fold.number,
        "status": run.status,
        "reason": run.reason,
        "folder": str(run.folder),
        "metrics": dict(run.metrics),
        "artifacts": dict(run.artifacts),
        "gates": [{"expression": gate.expression, "passed": gate.passed, "value": gate.value} for gate in run.gates],
        "cached": run.cached,
        "report": run.report,
        "error": {"code": run.error.code, "message": run.error.message, "hint": run.error.hint} if run.error else None,
    }
