"""Goes on from another run: whether the spec lets it, by the impact of what differs, and what of that run it begins with.

Changes nothing. What is meant by `--resume RUN [--fork]`, and when a longer duration goes on without being asked to.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from specrun.engine.finding import FOUND_BY, Found, spec_with, with_kept
from specrun.engine.fork_problems import fork_problems
from specrun.engine.otherwise import otherwise
from specrun.engine.workspace import Workspace, file_digest
from specrun.errors import LockedError, StoreError, UsageError
from specrun.plan import figures
from specrun.plan.compare import Change, changes
from specrun.plan.finders import MICRO_BATCH, value_at, with_value
from specrun.plan.graph import StepGraph
from specrun.plan.resolve import ResolvedSchedule, resolve_schedule
from specrun.plan.start import LABEL, How, Start, start_of
from specrun.plan.step import WEIGHTS, Decision, Step
from specrun.records.run_files import ending, is_alive, read_run
from specrun.runtime.choice import Choice
from specrun.runtime.compilers import EAGER, UNDECIDED
from specrun.runtime.hardware import ResolvedHardware
from specrun.spec.assembly import LoadedSpec, check_value
from specrun.spec.document import Spec
from specrun.spec.dump import dump
from specrun.spec.impact import IMPACTS
from specrun.spec.own_parts import allowed_by
from specrun.spec.units import parse_quantity
from specrun.steps.train.step import what_shapes_masks
from specrun.training.checkpoint_files import resumable


class GraphOf(Protocol):
    """The steps of a spec that begins with what is given. variants: by key, what data was known to be; taken until its result tells."""

    def __call__(self, spec: Spec, start: Start | None, variants: Mapping[str, str] = ..., /) -> StepGraph: ...


_DURATION = "schedule.duration"
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Continuation:
    """How a plan goes on from a run that was named. start: what the training begins with; where it is that run itself, what that one
    began with. changes: by impact class, in words. grows: it is that run's training, carried further."""

    run_id: str
    start: Start | None
    changes: tuple[str, ...]
    grows: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether it gives what training from the start gives, so that nothing of it is in the key."""
        return self.start is not None and self.start.exact

    @property
    def begins_trained(self) -> bool:
        """Whether the training begins with weights that its own spec does not give."""
        return self.start is not None and not self.start.exact


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A run as it is recorded. own: what it began with itself, where that is in its key; key: of its train step; variants: of its data,
    by that step's key."""

    run_id: str
    folder: Path
    spec: Spec | None
    document: Mapping[str, Any]
    key: str
    seed: int
    own: Start | None
    variants: Mapping[str, str]


def check_resume(resume: str | None, *, fork: bool, smoke: bool = False) -> None:
    """Raise UsageError for options that do not go together."""
    if fork and resume is None:
        raise UsageError("--fork needs the run to begin from", code="fork-without-run", hint="add --resume RUN")
    if smoke and resume is not None:
        raise UsageError("a smoke run keeps to itself and goes on from no other", code="resume-in-smoke",
                         hint="leave out --smoke or --resume")  # fmt: skip


def continuation(spec: Spec, graph_of: GraphOf, workspace: Workspace, *, run: str, fork: bool, found: Collection[str] = ()) -> Continuation:
    """What `--resume RUN [--fork]` means for a spec. found: paths of what finders find. Raises: UsageError where it is refused,
    LockedError where the run is at work."""
    recorded = _recorded(workspace, run, beside=spec)
    if fork:
        return Continuation(recorded.run_id, _start(recorded, how="fork"), _grouped(recorded, spec))
    told = _grouped(recorded, spec_with(spec, _found_then(recorded, spec, found)))  # to be found again is no change
    if spec.seeds != (recorded.seed,):
        raise UsageError(f"{recorded.run_id} is of seed {recorded.seed}, the spec is of {', '.join(map(str, spec.seeds))}",
                         code="resume-of-another-seed", hint=f"add --set 'seeds=[{recorded.seed}]'")  # fmt: skip
    if _train_step(graph_of(spec, recorded.own, recorded.variants)).key == recorded.key:
        return Continuation(recorded.run_id, recorded.own, told)
    if _train_step(graph_of(_as_long_as(recorded, spec), recorded.own, recorded.variants)).key != recorded.key:
        raise _refused(recorded, spec, graph_of, workspace)
    if (ending(recorded.folder) or {}).get("status") == "stopped_early":
        raise UsageError(f"{recorded.run_id} stopped early; a longer duration does not change that", code="resume-of-stopped-run",
                         hint="add --fork to begin a run of its own with its weights")  # fmt: skip
    return Continuation(recorded.run_id, _start(recorded, how="extend"), told, grows=True)


def as_it_began(hardware: ResolvedHardware, workspace: Workspace, *, run: str) -> ResolvedHardware:
    """The hardware with a model that is compiled as that of a run was, where that is still to be decided. Raises: as `continuation`."""
    if hardware.compilation != UNDECIDED:
        return hardware
    mode = _recorded(workspace, run).document["hardware"].get("compilation", {}).get("value", EAGER)
    return replace(hardware, compilation=Choice(mode, "as it began"))


def as_found_then(loaded: LoadedSpec, workspace: Workspace, *, run: str, found: Collection[str]) -> LoadedSpec:
    """The spec with what was found for a run in the place of `auto`, where that decides its weights: what goes on keeps it, whatever
    would be found by now. found: paths of what finders find. Raises: as `continuation`."""
    recorded = _recorded(workspace, run, beside=loaded.spec)
    decisive = what_shapes_masks(loaded.spec)["micro_batch_size"] is not None
    kept = [one for one in _found_then(recorded, loaded.spec, found) if decisive or not one.step.startswith(MICRO_BATCH)]
    return with_kept(loaded, kept)


def settled(asked: Continuation | None, spec: Spec, schedule: ResolvedSchedule | None, workspace: Workspace) -> Continuation | None:
    """What was asked for, once it is known what there is to train. An extension that gives what training from the start gives is exact:
    the same key, and the same records. schedule: None where the data is not known yet.

    Raises: UsageError where nothing is left to train.
    """
    if asked is None or not asked.grows or asked.start is None:
        return asked
    return replace(asked, start=_checked(asked.start, spec, schedule, workspace))


def with_beginnings(
    graph: StepGraph, spec: Spec, schedule: ResolvedSchedule | None, graph_of: GraphOf, workspace: Workspace, *, asked: Continuation | None
) -> StepGraph:
    """The plan, with what is to be said of where each training begins. asked: as the command line has it, settled; where it names no
    beginning, a training that only carries a finished one further begins there, if that gives the bits and the records of training from
    the start. schedule: None where the data is not known yet.
    """
    steps = list(graph.steps)
    for place, step in enumerate(steps):
        start = start_of(step.label)
        if step.kind == "train" and start is None and schedule is not None:
            start = _exact_extension(step, spec, schedule, graph_of, workspace)
        elif step.kind == "train" and asked is not None and asked.grows:
            start = asked.start
        if start is not None:
            steps[place] = replace(step, label={**step.label, LABEL: start.to_json()})
    return replace(graph, steps=tuple(steps))


def _checked(start: Start, spec: Spec, schedule: ResolvedSchedule | None, workspace: Workspace) -> Start:
    """An extension that was asked for, with what a plan has to say of it."""
    document = read_run(workspace.runs / start.run_id)
    assert document is not None
    before, now = document["spec"]["schedule"]["duration"], str(spec.schedule.duration)
    note = f"{_DURATION} {before} -> {now}"
    if schedule is None:
        return replace(start, note=note)
    if schedule.duration_seconds is not None:
        return _checked_time(start, schedule, workspace, note=note)
    if schedule.total_steps <= start.step:
        asked = now if spec.schedule.duration.unit == "steps" else f"{now}, which are {schedule.total_steps:,} steps,"
        end = "there" if schedule.total_steps == start.step else "before that"
        raise UsageError(f"{start.run_id} is at step {start.step:,}, and {asked} end {end}",
                         code="nothing-left-to-train", hint=f"set a longer {_DURATION}")  # fmt: skip
    duration = parse_quantity(before)
    shorter = _resolved(with_value(spec, _DURATION, duration), schedule)
    by_clock = "it was trained by the clock until then" if duration.unit == "seconds" else ""
    if differences := by_clock or ", ".join(_differences(spec, shorter, schedule, start.step)):
        return replace(start, note=f"{note}; not what {schedule.total_steps:,} steps from the start give: {differences}")
    began = document.get("start")
    if began is not None and not began.get("exact"):
        return replace(start, note=note)
    exact = _finished_start(workspace, _train_key(document), note=note)
    return exact if exact is not None and exact.step == start.step == shorter.total_steps else replace(start, note=note)


def _checked_time(start: Start, schedule: ResolvedSchedule, workspace: Workspace, *, note: str) -> Start:
    """An extension to another time."""
    spent, lasts = _seconds_trained(start, workspace), schedule.duration_seconds
    assert lasts is not None
    if lasts <= spent:
        raise UsageError(f"{start.run_id} has trained for {figures.seconds(spent)} already", code="nothing-left-to-train",
                         hint=f"set a longer {_DURATION}")  # fmt: skip
    note += f"; not what {figures.seconds(lasts)} from the start give: the learning rate's course was another until then"
    return replace(start, note=note)


def _seconds_trained(start: Start, workspace: Workspace) -> float:
    """How long the run has trained that a start begins from. Raises: StoreError where its checkpoint does not say."""
    path = workspace.runs / start.run_id / "checkpoints" / f"step-{start.step:08d}" / "state.json"
    try:
        return float(json.loads(path.read_bytes())["seconds"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        what = f"the checkpoint of step {start.step} of {start.run_id} is damaged: state.json does not say how long it trained"
        hint = f"specrun runs remove {start.run_id}, then apply its spec, which trains it again, then this one"
        raise StoreError(what, code="damaged-checkpoint", hint=hint) from error


def _exact_extension(step: Step, spec: Spec, schedule: ResolvedSchedule, graph_of: GraphOf, workspace: Workspace) -> Start | None:
    """The longest finished training that the step's is the same as, up to its end; None without one."""
    if workspace.result(step.kind, step.key) is not None or schedule.duration_seconds is not None:
        return None
    found: list[Start] = []
    for earlier in workspace.earlier(step.kind):
        differing = changes(earlier.options, step.options)
        if len(differing) != 1 or differing[0].path != _DURATION:
            continue
        duration = parse_quantity(str(differing[0].old))
        if duration.unit == "seconds":
            continue
        longer, shorter = schedule, _resolved(with_value(spec, _DURATION, duration), schedule)
        if shorter.total_steps >= longer.total_steps or any(_differences(spec, shorter, longer, shorter.total_steps)):
            continue
        if _key_of(graph_of(with_value(spec, _DURATION, duration), None), step) == earlier.key:
            start = _finished_start(workspace, earlier.key, note=str(differing[0]))
            if start is not None and start.step == shorter.total_steps:
                found.append(start)
    return max(found, key=lambda start: start.step, default=None)


def _differences(spec: Spec, shorter: ResolvedSchedule, longer: ResolvedSchedule, steps: int) -> Iterator[str]:
    """What is not as it would be from the start, in words, of a training that goes on from so many steps of a shorter one: of its weights
    and its evaluations."""
    if not _same_course(spec, shorter, longer, steps):
        yield f"the learning rate's course of the first {steps:,} was another"
    before, every = shorter.evaluate_every_steps, longer.evaluate_every_steps
    if before is None or every is None:
        yield "evaluations come by the clock"
    elif before != every and steps >= min(before, every):
        yield f"evaluations came every {before:,} steps and not every {every:,}"
    elif steps == shorter.total_steps and steps % every:
        yield f"there was an evaluation at step {steps:,}, where there would be none"


def _same_course(spec: Spec, shorter: ResolvedSchedule, longer: ResolvedSchedule, steps: int) -> bool:
    """Whether the learning rate was the same in the first steps. Courses part once and for all, so that the last of them tells."""
    course: Any = spec.schedule.learning_rate

    def factor(of: ResolvedSchedule, step: int) -> float:
        value: float = course.factor(step, warmup_steps=of.warmup_steps, total_steps=of.total_steps)
        return value

    looked_at = {*range(0, steps, max(1, steps // 1000)), steps - 1}
    return all(factor(shorter, step) == factor(longer, step) for step in looked_at)


def _resolved(spec: Spec, like: ResolvedSchedule) -> ResolvedSchedule:
    return resolve_schedule(spec.schedule, samples_per_epoch=like.samples_per_epoch, sequence_length=like.sequence_length,
                            sample_tokens=like.sample_tokens, sample_positions=like.sample_positions,
                            full_positions=like.full_positions)  # fmt: skip


def _recorded(workspace: Workspace, run_id: str, *, beside: Spec | None = None) -> _Recorded:
    """A run by its id. beside: the spec that it is compared with, whose own parts it may have too."""
    folder = workspace.runs / run_id
    document = read_run(folder)
    key = _train_key(document or {})
    if document is None or not key or not document.get("data_ready", True):
        raise UsageError(f"{run_id} never began to train", code="nothing-to-resume", hint="apply the spec without --resume")
    if is_alive(workspace.store, run_id):
        raise LockedError(f"{run_id} is at work in another apply", code="run-at-work", hint="wait for its end, or stop it")
    own = Start(**document["start"]) if document.get("start") else None
    if own is not None and own.exact:
        own = None  # its key is that of training from the start
    loaded = check_value(document["spec"], run_id, permission=None if beside is None else allowed_by(beside)).loaded
    variant = document["data"].get("variant")
    variants = {step["key"]: variant for step in document["plan"] if step["kind"] == "data" and variant}
    return _Recorded(run_id, folder, None if loaded is None else loaded.spec, document, key, int(document["seed"]), own, variants)


def _train_key(document: Mapping[str, Any]) -> str:
    """The key of a run's training, by its description; empty where it has none."""
    return next((step["key"] for step in document.get("plan", ()) if step["kind"] == "train"), "")


def _start(recorded: _Recorded, *, how: How) -> Start:
    checkpoint = resumable(recorded.folder / "checkpoints", key=recorded.key).checkpoint
    if checkpoint is None:
        raise UsageError(f"{recorded.run_id} has no whole checkpoint", code="nothing-to-resume",
                         hint="apply its own spec again, which trains it anew, or name another run")  # fmt: skip
    schedule = recorded.document["spec"]["schedule"]
    lora = (schedule.get("parameters") or {}).get("lora")
    digest = file_digest(checkpoint.path / "manifest.json")
    return Start(how, recorded.run_id, checkpoint.step, digest, lora, schedule["optimizer"]["kind"])


def _finished_start(workspace: Workspace, key: str, *, note: str) -> Start | None:
    """Where a training that only carries a finished one further begins; None where that one has been changed since."""
    run_id = workspace.run_of_key(key)
    if run_id is None or (ending(workspace.runs / run_id) or {}).get("status") != "completed":
        return None
    found = resumable(workspace.runs / run_id / "checkpoints", key=key)
    if found.checkpoint is None or found.lost_best_step is not None:
        return None
    return Start("extend", run_id, found.checkpoint.step, file_digest(found.checkpoint.path / "manifest.json"), note=note, exact=True)


def _train_step(graph: StepGraph) -> Step:
    return next(step for step in graph.steps if step.kind == "train")


def _key_of(graph: StepGraph, step: Step) -> str:
    return next(other.key for other in graph.steps if other.kind == step.kind and other.seed == step.seed)


def _as_long_as(recorded: _Recorded, spec: Spec) -> Spec:
    return with_value(spec, _DURATION, parse_quantity(recorded.document["spec"]["schedule"]["duration"]))


def _found_then(recorded: _Recorded, spec: Spec, paths: Collection[str]) -> list[Found]:
    """What finders found for the run, of what the spec leaves to them."""
    found = []
    for path in paths:
        origin = recorded.document["provenance"].get(path, "")
        if origin.startswith(FOUND_BY) and recorded.spec is not None and value_at(spec, path) == "auto":
            step = origin.removeprefix(FOUND_BY).partition(" ")[0]
            found.append(Found(path, value_at(recorded.spec, path), f"{step} for {recorded.run_id}"))
    return found


def _grouped(recorded: _Recorded, spec: Spec) -> tuple[str, ...]:
    """What the spec changes, a line an impact class."""
    if recorded.spec is None:
        return ()
    found = [(impact, _differing(recorded.spec, spec, {impact})) for impact in IMPACTS]
    return tuple(f"{impact}: {_listed(differing)}" for impact, differing in found if differing)


def _differing(old: Spec, new: Spec, impacts: Any) -> list[Change]:
    return [change for change in changes(dump(old, impacts), dump(new, impacts)) if not change.path.startswith("seeds")]


def _listed(differing: Sequence[Change]) -> str:
    more = [f"and {len(differing) - _LISTED} more"] if len(differing) > _LISTED else []
    return "; ".join([*map(str, differing[:_LISTED]), *more])


def _refused(recorded: _Recorded, spec: Spec, graph_of: GraphOf, workspace: Workspace) -> Exception:
    differing = [] if recorded.spec is None else [it for it in _differing(recorded.spec, spec, WEIGHTS) if it.path != _DURATION]
    graph = graph_of(_as_long_as(recorded, spec), recorded.own, recorded.variants)
    what = _listed(differing) if differing else otherwise(graph, recorded.document, workspace)
    fork = "add --fork to begin a run of its own with those weights"
    or_else = fork if _can_fork(recorded, spec, graph_of, workspace) else "train anew without --resume: the weights do not fit this model"
    return UsageError(f"{recorded.run_id} cannot go on under this spec: {what}", code="resume-changes-weights",
                      hint=f"undo this, or {or_else}")  # fmt: skip


def _can_fork(recorded: _Recorded, spec: Spec, graph_of: GraphOf, workspace: Workspace) -> bool:
    """Whether the run's weights fit the spec's model, as far as a plan can tell."""
    steps = graph_of(spec, _start(recorded, how="fork"), recorded.variants).steps
    decisions = [Decision(step, "run", "") for step in steps]
    return all(problem.severity != "error" for problem in fork_problems(spec, decisions, workspace))
