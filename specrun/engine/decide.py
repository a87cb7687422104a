"""What apply will do about each step of a plan, and why. Looks at the store; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from specrun.engine.workspace import Workspace, input_sizes
from specrun.plan.compare import Change, nearest, reason_to_run
from specrun.plan.graph import StepGraph
from specrun.plan.predict import Forecast
from specrun.plan.start import start_of
from specrun.plan.step import Decision, Predicted, Step, StepKind, StepResult
from specrun.records.run_files import ending
from specrun.records.seeds import ENDED_WELL
from specrun.training.checkpoint_files import resumable


def decide(
    plan: StepGraph,
    *,
    kinds: Mapping[str, StepKind],
    workspace: Workspace,
    forecast: Forecast,
    describe: Callable[[str], str | None],
    retry: frozenset[str] = frozenset(),
) -> tuple[Decision, ...]:
    """A decision a step, in the plan's order. describe: where a dotted key's value came from. retry: keys whose finished
    result is not good enough to be kept (the fallback source stood in) and is tried again."""
    results = {step.id: None if step.key in retry else workspace.result(step.kind, step.key) for step in plan.steps}
    again = {step.id: "the fallback source stood in last time; the first one is tried again" for step in plan.steps if step.key in retry}
    again |= _without_end(plan, kinds, workspace, results)
    again |= _on_remade(plan, kinds, results, again)
    results |= dict.fromkeys(again)
    needed = _needed(plan, kinds, results) | again.keys()
    earlier = {kind: workspace.earlier(kind) for kind in {step.kind for step in plan.steps if results[step.id] is None}}
    decisions = []
    unlike: set[str] = set()  # ids of steps that nothing earlier is like; what reads them is compared with no other experiment's
    for step in plan.steps:
        result = results[step.id]
        predicted = forecast.steps.get(step.kind, Predicted())
        if result is not None:
            decisions.append(Decision(step, "cached", f"finished {result.finished_at}", Predicted(0.0, basis="cached")))
        elif step.id not in needed:
            decisions.append(Decision(step, "skip", "nothing that reads it has to run", Predicted(0.0, basis="skipped")))
        elif step.id in again:
            decisions.append(Decision(step, "run", again[step.id], predicted))
        elif (resumed := _resume(step, kinds[step.kind], workspace, forecast, predicted)) is not None:
            decisions.append(resumed)
        else:
            changed = [p.id for p in plan.parents(step) if results[p.id] is None and p.id in needed]
            candidates = [e for e in earlier[step.kind] if e.options.get("seed") == step.options.get("seed")]
            own_only = not unlike.isdisjoint(step.needs)
            if nearest(step, candidates, own_only=own_only) is None:
                unlike.add(step.id)
            reason, differing = reason_to_run(
                step,
                version=kinds[step.kind].version,
                earlier=candidates,
                changed_parents=changed or [p.id for p in plan.parents(step)],
                input_bytes=input_sizes(step),
                own_only=own_only,
            )
            decisions.append(Decision(step, "run", reason + _where(differing, describe), predicted))
    return tuple(decisions)


def _without_end(
    plan: StepGraph, kinds: Mapping[str, StepKind], workspace: Workspace, results: Mapping[str, StepResult | None]
) -> dict[str, str]:
    """A run whose steps are all finished, but whose last attempt was cut off or failed, is described again: that mends its record.

    Returns: the reason by the id of the step that describes it.
    """
    found = {}
    for step in plan.steps:
        own = [results[other.id] for other in plan.steps if other.seed == step.seed]
        result = own[0]
        if kinds[step.kind].describes_run and result is not None and result.run_id is not None and None not in own:
            final = ending(workspace.runs / result.run_id)
            if final is None or final["status"] not in ENDED_WELL:
                found[step.id] = "the run's last attempt did not reach its end"
    return found


def _on_remade(
    plan: StepGraph, kinds: Mapping[str, StepKind], results: Mapping[str, StepResult | None], again: Mapping[str, str]
) -> dict[str, str]:
    """What a run finished on the ground of a step of its own that has to be made again. Returns: the reason by id."""
    found: dict[str, str] = {}
    for step in plan.steps:
        remade = [
            parent.id for parent in plan.parents(step)
            if kinds[parent.kind].scope == "run" and (results[parent.id] is None or parent.id in again or parent.id in found)
        ]  # fmt: skip
        if remade and results[step.id] is not None:
            found[step.id] = f"made from what is made again: {', '.join(remade)}"
    return found


def _needed(plan: StepGraph, kinds: Mapping[str, StepKind], results: Mapping[str, StepResult | None]) -> set[str]:
    """Ids that must have a result: what a run itself consists of, and what an unfinished needed step reads."""
    needed: set[str] = set()
    for step in reversed(plan.steps):
        wanted = kinds[step.kind].scope == "run" or any(child.id in needed and results[child.id] is None for child in plan.children(step))
        if wanted:
            needed.add(step.id)
    return needed


def _resume(step: Step, kind: StepKind, workspace: Workspace, forecast: Forecast, predicted: Predicted) -> Decision | None:
    """How a step goes on from its checkpoints, anew where its best weights are gone and none is so old, or from another run; None
    without any."""
    run_id = workspace.run_of_key(step.key) if kind.resumable else None
    if run_id is None:
        return _begin(step, kind, forecast, predicted)
    found = resumable(workspace.runs / run_id / "checkpoints", key=step.key)
    checkpoint = found.checkpoint
    gone = f"the best weights, those of step {found.lost_best_step:,}, are gone" if found.lost_best_step is not None else ""
    if checkpoint is None:
        return _begin(step, kind, forecast, predicted) or (Decision(step, "run", gone, predicted) if gone else None)
    return _continued(step, run_id, checkpoint.step, forecast, predicted, why=f": {gone}" if gone else "")


def _begin(step: Step, kind: StepKind, forecast: Forecast, predicted: Predicted) -> Decision | None:
    """How a step begins with the state of another run; None where it begins with drawn weights."""
    start = start_of(step.label)
    if start is None:
        return None
    if start.how == "fork":
        begins = f"begins with the weights of {start.run_id} at its step {start.step:,}"
        begins += "; the schedule is its own" if kind.resumable else ""
        return Decision(step, "run", begins, predicted)
    return _continued(step, start.run_id, start.step, forecast, predicted, why=f" ({start.note})" if start.note else "")


def _continued(step: Step, run_id: str, done: int, forecast: Forecast, predicted: Predicted, *, why: str) -> Decision:
    """A training of which so many steps are done."""
    total = forecast.schedule.total_steps if forecast.schedule else None
    left = predicted.seconds
    if left is not None and total:
        left *= max(0.0, 1 - done / total)
    about = "about " if forecast.schedule is not None and forecast.schedule.duration_seconds is not None else ""
    reason = f"continues {run_id} from step {done:,}" + (f" of {about}{total:,}" if total else "") + why
    return Decision(step, "resume", reason, Predicted(left, predicted.memory_bytes, predicted.disk_bytes, predicted.basis))


def _where(differing: Sequence[Change], describe: Callable[[str], str | None]) -> str:
    """The place of the first change, where one can be named: " (specs/gpt.yaml:19)"."""
    for change in differing[:1]:
        place = None if change.is_code else describe(change.path)
        if place:
            return f" ({place})"
    return ""
