"""A store with a finished run in it, written through the real journal; imported by tests, holds none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from specrun.engine.workspace import Workspace
from specrun.events import Alert, Artifact, Example, Metrics, Status, StepRecord
from specrun.plan.step import Step, StepResult
from specrun.records.journal import Journal
from specrun.records.run_files import write_final, write_run
from tests.report.report_fakes import RUN_ID, a_run

KEYS = {kind: (kind[0] * 64) for kind in ("data", "tokens", "train", "evaluate", "report")}


def write_store(
    store: Path, *, run_id: str = RUN_ID, started_at: str = "2026-11-20T10:08:52Z", final: bool = True
) -> dict[str, StepResult]:
    """Write a run and the results of its steps. final: whether it has ended. Returns the results by step kind."""
    records, values = a_run(total=200, every=10, evaluate=50)
    workspace = Workspace(store)
    workspace.prepare()
    folder = store / "runs" / run_id
    folder.mkdir(parents=True)
    write_run(folder, {**records.run_document, "run_id": run_id, "started_at": started_at})
    with Journal.open(folder, run_id=run_id, attempt=1, clock=lambda: 1_795_169_332.0) as journal:
        journal.emit(Status("running", "started"))
        for metric, points in records.curves.items():
            for point in points:
                journal.emit(Metrics(point.step, {metric: point.value}, point.epoch, point.tokens))
        for step in records.plan:
            journal.emit(StepRecord(step.id, step.kind, KEYS.get(step.kind, "k" * 64), "run", step.reason, step.predicted, step.actual))
        for text in records.texts:
            journal.emit(Example(text.step, text.name, text.data))
        for file in records.files:
            journal.emit(Artifact(**asdict(file)))
        journal.emit(Alert("warning", "duplicate-across-splits", "3 documents of validation are also in train", None))
        if final:
            journal.emit(Status("completed", ""))
    if final:
        kept = {name: values["evaluate"][name] for name in ("sums", "baselines")}
        write_final(folder, {**(records.ending or {}), "evaluation": kept, "training": values["train"]})
    return {kind: _keep(workspace, kind, values.get(kind, {})) for kind in ("data", "tokens", "train", "evaluate")}


def _keep(workspace: Workspace, kind: str, values: Mapping[str, Any]) -> StepResult:
    (workspace.store / "steps" / kind).mkdir()
    result = StepResult(kind, kind, KEYS[kind], f"steps/{kind}", json.loads(json.dumps(values)), {}, 1.0, "2026-11-20T10:19:00Z")
    workspace.save_result(Step(kind, kind, KEYS[kind], (), {}), result, version=1)
    return result
