"""The `train` step: builds the model, goes on from a checkpoint where there is one, and trains to the end of the schedule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from specrun.errors import InterruptedRun, SpecrunError, StoreError
from specrun.plan.resolve import ResolvedSchedule, resolve_schedule, share_of_time
from specrun.plan.start import start_of
from specrun.runtime.compilation import compile_blocks
from specrun.runtime.compilers import EAGER
from specrun.runtime.copying import copy_lane
from specrun.runtime.device import Device, open_device
from specrun.runtime.distributed import ALONE
from specrun.runtime.factory import load_factory
from specrun.runtime.monitor import watch
from specrun.runtime.products import multiplication, multiply_by
from specrun.runtime.protocols import Task
from specrun.runtime.seeds import derive, seed_torch
from specrun.spec.document import Spec
from specrun.spec.metrics import declared_goal
from specrun.steps.contract import StepContext, StepInput, StepOutput, facts_of, folders_of
from specrun.tasks.opening import make_model, model_sizes, open_task
from specrun.training import checkpoint_files
from specrun.training.checkpoint_files import CheckpointInfo
from specrun.training.feed import Feed
from specrun.training.learning_rates.reduce_on_plateau import Options as ReduceOnPlateau
from specrun.training.loop import TrainState
from specrun.training.loss_scaling import LossScale
from specrun.training.parallel import ON_ITS_OWN, Parallel
from specrun.training.plateau import Plateau
from specrun.training.recovery import batch_that_fits, train_step_that_fits
from specrun.training.running_statistics import RunningStatistics
from specrun.training.selection import Best
from specrun.training.session import Session
from specrun.training.starting import begin
from specrun.training.starting_again import lessons, remembering
from specrun.training.time_limit import TimeLimit
from specrun.training.trainable import checkpoint_activations, choose_trainable
from specrun.training.weight_average import WeightAverage


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Train for one seed. Raises: InterruptedRun after a signal, with the state saved."""
    workers = context.workers or ALONE
    device = open_device(context.hardware, number=workers.local_rank)
    compiled = context.hardware.compilation.value != EAGER
    facts, spec = facts_of(inputs), with_model_placed(spec, context)
    task = open_task(spec, folders=folders_of(inputs), facts=facts, seed=context.seed, device=device, pad_to_few_shapes=compiled)
    schedule = resolve_schedule(
        spec.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=spec.task.sample_length(spec),
        sample_tokens=task.sample_tokens, workers=workers.size,
    )  # fmt: skip
    draw = partial(draw_model, spec, sizes=model_sizes(spec, facts), seed=context.seed, device=device)
    model = draw()
    parallel = place(context, model, device)
    session = new_session(context, spec, schedule, new_state(spec, schedule, model, task, device, seed=context.seed, parallel=parallel))
    if compiled:
        session.state.compilation = compile_blocks(
            model, mode=context.hardware.compilation.value, kind=device.kind, cache_folder=context.store / "cache" / "compile"
        )  # fmt: skip
    feed = Feed(task, batch_size=schedule.batch_size, lane=copy_lane(device))
    with watch(context.emit, context.hardware) as monitor, feed, session.saver, remembering(session.folder):
        begin(session, start_of(context.step.label), runs=context.store / "runs", draw=draw, optimizer=spec.schedule.optimizer.kind)
        heed_lessons(session)
        session.account.start()
        if session.catch_up():
            end_if_asked(context, session)
        while not session.finished:
            state = session.state
            with session.waiting():
                batch = batch_that_fits(partial(feed.take, state.position), device)
            session.after_step(train_step_that_fits(state, batch, session.ladder))
            end_if_asked(context, session)
        session.save()
        session.settle()
    peak = workers.largest_sum(device.peak_memory_bytes, together=context.sharing_memory)
    return outcome(context, session, system=monitor.summary, peak_memory_bytes=peak) if workers.first else StepOutput()


def with_model_placed(spec: Spec, context: StepContext) -> Spec:
    """The spec with the model's local files, if it has any, by where they are."""
    placed = spec.model.placed(base=context.base_folder("model.name"), data_root=context.data_root)
    return spec if placed is spec.model else spec.model_copy(update={"model": placed})


def heed_lessons(session: Session) -> None:
    """Do otherwise what workers could not do before, as the first of them has read it."""
    state, known = session.state, lessons(session.folder)
    size, divided, eager = state.parallel.workers.told([known.micro_batch_size, known.divided, known.eager])
    state.micro_batch_size = min(state.micro_batch_size, size or state.micro_batch_size)
    session.ladder.climb.divided = max(session.ladder.climb.divided, divided)
    if eager and state.compilation is not None and state.parallel.root is not None:
        state.compilation.failed = True


def end_if_asked(context: StepContext, session: Session) -> None:
    """Save and raise InterruptedRun where a signal, to this process or another of the training, asks for an end before it is there."""
    state = session.state
    if (number := state.parallel.workers.largest(context.stop_requested() or 0)) and not session.finished:
        session.save()
        session.settle()
        raise InterruptedRun(
            f"signal {number} ended training after step {state.step} of {session.total_steps}; its state is saved",
            signal_number=number,
            hint="apply again to go on from there",
        )


def build_model(spec: Spec, *, sizes: Mapping[str, Any], seed: int, device: Device) -> nn.Module:
    """The network with its initial weights, on the device. Raises: as `draw_model`."""
    return draw_model(spec, sizes=sizes, seed=seed, device=device).to(device.place)


def draw_model(spec: Spec, *, sizes: Mapping[str, Any], seed: int, device: Device) -> nn.Module:
    """The network with its initial weights, drawn on the CPU so that they are the same for every device, and left there: what several
    devices share need not fit on one. sizes: see `tasks.opening.model_sizes`; device: what it will be trained on.

    Raises: SpecrunError where the embedding has fewer rows than the tokenizer has tokens, and where nothing would be trained.
    """
    rows, vocab_size = getattr(spec.model, "vocab_size", None), sizes.get("vocab_size", 0)
    if rows is not None and rows < vocab_size:
        raise SpecrunError(f"model.vocab_size {rows} is less than the tokenizer's {vocab_size} tokens", code="vocabulary-exceeds-model",
                           hint=f"use model.vocab_size {vocab_size}, or leave it out")  # fmt: skip
    seed_torch(derive(seed, "weights"))
    model = make_model(spec.model, interface=spec.task.interface, sizes=sizes)
    choose_trainable(model, spec.schedule.parameters)
    if spec.hardware.activation_checkpointing:
        checkpoint_activations(model)
    multiply_by(multiplication(device, few_shapes=spec.task.few_shapes(spec)), model)
    return model.train()


def place(context: StepContext, model: nn.Module, device: Device) -> Parallel:
    """Put a drawn model where it is trained, in place: on the device, as part of a training by several processes where there are any."""
    if context.workers is None:
        model.to(device.place)
        return ON_ITS_OWN
    from specrun.training.spreading import spread

    assert context.hardware.strategy is not None
    return spread(model, context.workers, strategy=context.hardware.strategy.value, device=device)


def new_state(
    spec: Spec, schedule: ResolvedSchedule, model: nn.Module, task: Task, device: Device, *, seed: int, parallel: Parallel = ON_ITS_OWN
) -> TrainState:
    """The state before step 0."""
    options: Any = spec.schedule.optimizer
    course: Any = spec.schedule.learning_rate
    average, limit = spec.schedule.parameters.average, new_time_limit(spec)

    def learning_rate(step: int) -> float:
        total, warmup = schedule.total_steps, schedule.warmup_steps
        if limit is not None:
            total, warmup = limit.total_steps(step), limit.warmup_steps(step, warmup)
        factor: float = course.factor(step, warmup_steps=warmup, total_steps=total)
        return float(options.learning_rate * factor)

    return TrainState(
        model=model,
        optimizer=load_factory(options.factory)(options, model=model, compute_dtype=device.compute_dtype),
        task=task,
        device=device,
        learning_rate=learning_rate,
        gradient_clip=spec.schedule.gradient_clip,
        micro_batch_size=schedule.micro_batch_size,
        seed=seed,
        parallel=parallel,
        skip_non_finite=spec.schedule.recovery.non_finite == "skip_then_roll_back",
        loss_scale=LossScale.needed_on(device),
        plateau=new_plateau(spec),
        time_limit=limit,
        average=WeightAverage(model, decay=average.decay) if average is not None else None,
        statistics=RunningStatistics.of(model),
    )


def new_time_limit(spec: Spec) -> TimeLimit | None:
    """What a duration in time is counted by."""
    duration, warmup = spec.schedule.duration, getattr(spec.schedule.learning_rate, "warmup", None)
    if duration.unit != "seconds":
        return None
    return TimeLimit(duration.amount, None if warmup is None else share_of_time(warmup, duration))


def new_plateau(spec: Spec) -> Plateau | None:
    """What reduces the learning rate as evaluations stop improving, where the schedule has that."""
    course = spec.schedule.learning_rate
    if not isinstance(course, ReduceOnPlateau):
        return None
    return Plateau(tracker(spec, course.metric, course.min_delta), int(course.patience.amount), course.reduction, course.min_fraction)


def tracker(spec: Spec, metric: str, min_delta: float = 0.0) -> Best:
    """The best value of a metric, which way the task says."""
    goal = declared_goal(metric, spec.task.metrics)
    assert goal is not None, f"{spec.task.kind} does not declare which way {metric} is better"
    return Best(metric, goal == "minimize", min_delta)


def new_session(context: StepContext, spec: Spec, schedule: ResolvedSchedule, state: TrainState) -> Session:
    """The run's course, before any attempt."""
    early = spec.schedule.early_stopping
    return Session(
        state=state,
        schedule=schedule,
        options=spec.schedule,
        emit=context.emit,
        folder=context.folder / "checkpoints",
        key=context.step.key,
        producer=context.step.id,
        stop_requested=context.stop_requested,
        best=tracker(spec, spec.schedule.checkpoint.metric),
        patience=tracker(spec, early.metric, early.min_delta) if early is not None else None,
        counts=spec.task.counts,
    )


def best_checkpoint(session: Session) -> CheckpointInfo:
    """The weights of the best evaluation. Raises: SpecrunError where there is none, or where they are no longer there."""
    metric, step = session.best.metric, session.best.step
    if step is None:
        raise SpecrunError(f"no evaluation gave a finite {metric}, so there are no best weights", code="metric-never-finite",
                           hint="lower schedule.optimizer.learning_rate, or name another metric in schedule.checkpoint.metric")  # fmt: skip
    best = checkpoint_files.best(session.folder, key=session.key)
    if best is None or best.step != step:
        raise StoreError(f"the best weights, those of step {step}, are gone from {session.folder}", code="lost-best-checkpoint",
                         hint="apply again: training goes back to make them again")  # fmt: skip
    return best


def stop_reason(session: Session) -> str:
    """Why training ended where it did; empty where it made every step of its duration."""
    early, patience, state = session.options.early_stopping, session.patience, session.state
    if early is not None and patience is not None and session.stopped_early:
        by = f" by more than {early.min_delta:g}" if early.min_delta else ""
        since = f" since step {patience.step:,}" if patience.step is not None else ""
        of = f" of {session.total_steps:,}" if state.time_limit is None else ""
        return f"{early.metric} has not improved{by}{since}, for {early.patience}; training stopped after step {state.step:,}{of}"
    if state.time_limit is not None:
        return f"time limit of {session.options.duration} reached after step {state.step:,}"
    return ""


def outcome(context: StepContext, session: Session, *, system: Mapping[str, float], peak_memory_bytes: int) -> StepOutput:
    """What the step hands on, once training has ended. system: readings of the machine over this attempt; peak_memory_bytes: of the
    processes that share a memory, their peaks summed up."""
    last, state, schedule = session.last, session.state, session.schedule
    assert last is not None
    assert last.step == state.step, f"the newest checkpoint is of step {last.step}, not of step {state.step}"
    best = best_checkpoint(session)
    paths = {role: info.path.relative_to(context.folder).as_posix() for role, info in (("best", best), ("last", last))}
    values = {
        "steps": state.step,
        "total_steps": session.total_steps,
        "best_step": best.step,
        "best_metric": session.best.value,
        "best_checkpoint": paths["best"],
        "last_checkpoint": paths["last"],
        "parameters": sum(parameter.numel() for parameter in state.model.parameters()),
        "trainable_parameters": sum(parameter.numel() for parameter in state.model.parameters() if parameter.requires_grad),
        "micro_batch_size": state.micro_batch_size,
        "tokens": state.tokens,
        "tokens_per_second": session.tokens_per_second,
        "seconds": session.seconds,
        "peak_memory_bytes": peak_memory_bytes,
        "peak_memory_processes": context.sharing_memory,
        "stopped_early": session.stopped_early,
        "stop_reason": stop_reason(session),
        "metrics": session.result,
        "samples_per_epoch": schedule.samples_per_epoch,
        "system": dict(system),
        **({"compilation": state.compilation.document()} if state.compilation is not None else {}),
    }
    artifacts = {f"{paths['last']}/model.safetensors": "last_model", f"{paths['best']}/model.safetensors": "best_model"}
    return StepOutput(values, artifacts, tuple(session.warnings), "stopped_early" if session.stopped_early else "completed")
