"""What apply says at the end: a line a run, its gates, where the report is, and the spread over seeds and folds."""

from __future__ import annotations

from collections.abc import Sequence

from specrun.engine.outcome import Outcome, Run
from specrun.errors import InterruptedRun
from specrun.plan import figures
from specrun.records.documents import DamagedRecord
from specrun.records.headline import headline
from specrun.records.place import command_on
from specrun.records.seeds import spread, told

_SHOWN = 3


def summary_lines(outcome: Outcome) -> list[str]:
    """The closing lines of an apply."""
    lines: list[str] = []
    for run in outcome.runs:
        lines.append(_run_line(run))
        if run.reason and (run.error is None or run.ended_well):  # an error is told by whoever called
            lines.append(f"  {run.reason}")
        if run.error and run.failed_after_end:
            lines.append(f"  {_after_the_end(run.error)}")
        lines += [f"  gate failed: {gate.sentence}" for gate in run.failed_gates]
        if run.report:
            lines.append(f"  report: {run.report}")
        elif run.status == "failed" and not isinstance(run.error, DamagedRecord):
            lines.append(f"  for a report of what it recorded: {command_on(run.folder.parent.parent, 'report', run.run_id)}")
    return [*lines, *_spread_lines(outcome.runs)]


def _run_line(run: Run) -> str:
    metrics = [f"{name} {figures.number(run.metrics[name])}" for name in headline(run.metrics, at_most=_SHOWN)]
    tail = f": {', '.join(metrics)}" if metrics else ""
    if run.cached:
        return f"{run.run_id} is finished already, nothing was run{tail}"
    expected = f" (predicted ~{figures.seconds(run.predicted_seconds)})" if run.predicted_seconds is not None else ""
    return f"{run.run_id} {run.status.replace('_', ' ')} in {figures.seconds(run.seconds)}{expected}{tail}"


def _after_the_end(error: Exception) -> str:
    """What went wrong once the run's outcome stood: it is the report's matter, not the training's."""
    how = "was interrupted" if isinstance(error, InterruptedRun) else "failed"
    return f"its report {how}; apply again writes it, and trains nothing again"


def _spread_lines(runs: Sequence[Run]) -> list[str]:
    """Mean and sample standard deviation of the main metrics over the runs, of each seed and fold, that reached their end."""
    done = [run for run in runs if run.ended_well]
    if len(done) < 2:
        return []
    shared = set.intersection(*(set(run.metrics) for run in done))
    left_out = f" ({len(runs) - len(done)} of {len(runs)} did not end)" if len(done) < len(runs) else ""
    folds = len({run.fold for run in done} - {None})
    text = told({name: spread((run.metrics[name] for run in done), folds=folds) for name in shared}, aside=left_out)
    return [text] if text else []
