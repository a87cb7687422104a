"""What apply says at the end: a line a run, its gates, and where the report is."""

from __future__ import annotations

from specrun.engine.outcome import Outcome, RunOutcome
from specrun.plan import figures

_HEADLINE = ("test/loss", "test/perplexity", "test/bits_per_byte", "validation/loss", "validation/perplexity", "validation/bits_per_byte")
_SHOWN = 3


def summary_lines(outcome: Outcome) -> list[str]:
    """The closing lines of an apply."""
    lines: list[str] = []
    for run in outcome.runs:
        lines.append(_run_line(run))
        lines += [f"  gate failed: {gate.sentence}" for gate in run.failed_gates]
        if run.report:
            lines.append(f"  report: {run.report}")
    return lines


def _run_line(run: RunOutcome) -> str:
    metrics = [f"{name} {figures.metric(run.metrics[name])}" for name in _HEADLINE if name in run.metrics][:_SHOWN]
    tail = f": {', '.join(metrics)}" if metrics else ""
    if run.cached:
        return f"{run.run_id} is finished already, nothing was run{tail}"
    expected = f" (predicted ~{figures.seconds(run.predicted_seconds)})" if run.predicted_seconds is not None else ""
    return f"{run.run_id} {run.status.replace('_', ' ')} in {figures.seconds(run.seconds)}{expected}{tail}"
