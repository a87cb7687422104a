"""What a report is made from: one run's records, read once.

Owns the reading and the few figures that several sections share. Records are reached through a protocol, so that nothing here
opens a database.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from specrun.records.rows import AlertRow, ArtifactRow, AttemptRow, ExampleRow, Point, Reading, RunRow, StepRow
from specrun.spec.metrics import goal_of

_SAME = 1e-5
"""Relative difference of two evaluations of the same weights on the same text: sums in another order."""


class RunRecords(Protocol):
    """The part of the records that a report reads."""

    def run(self, run_id: str) -> RunRow: ...
    def experiment(self, run: RunRow) -> list[RunRow]: ...
    def document(self, run_id: str) -> dict[str, Any]: ...
    def final(self, run_id: str) -> dict[str, Any] | None: ...
    def series(self, run_id: str, metrics: Sequence[str] | None = None) -> dict[str, list[Point]]: ...
    def system(self, run_id: str) -> dict[str, list[Reading]]: ...
    def steps(self, run_id: str) -> list[StepRow]: ...
    def alerts(self, run_id: str) -> list[AlertRow]: ...
    def examples(self, run_id: str) -> list[ExampleRow]: ...
    def artifacts(self, run_id: str) -> list[ArtifactRow]: ...
    def attempts(self, run_id: str) -> list[AttemptRow]: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """One run. results: the values that finished steps left, by step kind. final: how it ended, empty while it runs.

    system: readings of the machine, by metric. folds: of a cross-validation, the runs that have ended well, this one among them.
    """

    run: RunRow
    document: Mapping[str, Any]
    final: Mapping[str, Any]
    series: Mapping[str, Sequence[Point]]
    system: Mapping[str, Sequence[Reading]]
    steps: Sequence[StepRow]
    alerts: Sequence[AlertRow]
    examples: Sequence[ExampleRow]
    artifacts: Sequence[ArtifactRow]
    attempts: Sequence[AttemptRow]
    results: Mapping[str, Mapping[str, Any]]
    folds: Sequence[RunRow] = ()

    @property
    def fold(self) -> str:
        """Of a cross-validation: `fold 2 of 5`; else empty."""
        return "" if self.run.fold is None else f"fold {self.run.fold} of {self.run.folds}"

    @property
    def spec(self) -> Mapping[str, Any]:
        """The resolved spec that the newest attempt was asked for: what concerns the report may have changed since run.json."""
        return mapping(self.final.get("spec") or self.document.get("spec"))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where each value of that spec came from."""
        return mapping(self.final.get("provenance") or self.document.get("provenance"))

    @property
    def status(self) -> str:
        return str(self.final.get("status") or self.run.status)

    @property
    def metrics(self) -> dict[str, float]:
        """The figures of the best checkpoint: as evaluated, else as training's own evaluation at that step found them."""
        if self.evaluated:
            evaluated = mapping(self.result("evaluate").get("metrics"))
            return {**self.run.metrics, **mapping(self.final.get("metrics")), **evaluated}
        best = {name: self.value_at(name, self.best_step) for name in self.series if name.startswith("validation/")}
        return {**self.run.metrics, **{name: value for name, value in best.items() if value is not None}}

    @property
    def evaluated(self) -> bool:
        """Whether the run came to its evaluate step."""
        return bool(self.result("evaluate"))

    @property
    def best_metric(self) -> str:
        """The metric that says which checkpoint is best."""
        return str(self.option("schedule", "checkpoint", "metric") or "validation/loss")

    @property
    def best_step(self) -> int | None:
        """The optimizer step of the best checkpoint, as training recorded it, else where the curve is best; None where nothing says."""
        recorded = self.final.get("best_step", self.result("train").get("best_step"))
        if recorded is not None:
            return int(recorded)
        goal = goal_of(self.best_metric, self.run.task, self.document.get("declares"))
        points = [point for point in self.series.get(self.best_metric, ()) if point.value == point.value]
        if goal is None or not points:
            return None
        best = min if goal == "minimize" else max
        return best(points, key=lambda point: point.value).step

    @property
    def most_batches(self) -> int | None:
        """The most batches of the validation split that an evaluation of training saw; None where it saw them all."""
        batches = self.option("schedule", "evaluate", "max_batches")
        seen, whole = self.value_at(self.best_metric, self.best_step), self.metrics.get(self.best_metric)
        same = self.evaluated and seen is not None and whole is not None and math.isclose(seen, whole, rel_tol=_SAME)
        return batches if isinstance(batches, int) and not same else None

    def result(self, kind: str) -> Mapping[str, Any]:
        """What the step of a kind left; empty where it has not run."""
        return mapping(self.results.get(kind))

    def option(self, *path: str) -> Any:
        """A value of the resolved spec; None where there is none."""
        value: Any = self.spec
        for name in path:
            value = mapping(value).get(name)
        return value

    def value_at(self, metric: str, step: int | None) -> float | None:
        """A metric's value at a step; None where none was recorded there."""
        return next((point.value for point in self.series.get(metric, ()) if point.step == step), None)


def read(records: RunRecords, run_id: str, *, results: Mapping[str, Mapping[str, Any]] | None = None) -> Facts:
    """Read a run. results: values of its steps where the caller has them; what final.json keeps of them is read in any case."""
    final = records.final(run_id) or {}
    kept = {"train": mapping(final.get("training")), "evaluate": mapping(final.get("evaluation"))}
    given = results or {}
    run = records.run(run_id)
    return Facts(
        run=run,
        document=records.document(run_id),
        final=final,
        series=records.series(run_id),
        system=records.system(run_id),
        steps=records.steps(run_id),
        alerts=records.alerts(run_id),
        examples=records.examples(run_id),
        artifacts=records.artifacts(run_id),
        attempts=records.attempts(run_id),
        results={kind: {**kept.get(kind, {}), **mapping(given.get(kind))} for kind in (*kept, *given)},
        folds=records.experiment(run) if run.fold is not None else (),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one: records of other versions may lack or change a section."""
    return value if isinstance(value, Mapping) else {}


def when(text: str | None) -> str:
    """An ISO 8601 time as people read it: 20 Nov 2026, 10:08 UTC. What is no such time is shown as it is."""
    if not text:
        return ""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"
