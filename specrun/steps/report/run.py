"""The `report` step: writes the documents about a run from its records. Runs in a process of its own, after the run's outcome."""

from __future__ import annotations

from collections.abc import Mapping

from specrun.records.queries import open_records
from specrun.report.render import CHARTS, remove_others, render
from specrun.report.run_view import run_view
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Write the report of `context.run_id` into the run's folder; documents of formats no longer asked for are removed."""
    assert context.run_id is not None, "a report is about a run"
    results = {kind: item.values for kind, item in inputs.items()}
    with open_records(context.store, merge_first=False) as records:
        view = run_view(records, context.run_id, results=results, title=spec.report.title)
    folder = context.folder / "report"
    written = render(view, spec.report.formats, folder)
    remove_others(spec.report.formats, folder)
    artifacts = {str(path.relative_to(context.folder)): f"report-{name}" for name, path in written.items()}
    if "md" in written:
        artifacts |= {str(path.relative_to(context.folder)): "chart" for path in sorted((folder / CHARTS).glob("*.svg"))}
    values = {name: str(path.relative_to(context.folder)) for name, path in written.items()}
    return StepOutput({**values, "formats": list(written), "title": spec.report.title}, artifacts)
