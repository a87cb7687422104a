"""The state of a training before its first step, for steps that try it out.

Drawn for seed 0, so that every seed shares what is found; of a fork, with the weights and moments that it begins with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from specrun.plan.finders import with_value
from specrun.plan.resolve import ResolvedSchedule, resolve_schedule
from specrun.plan.start import start_of
from specrun.runtime.device import open_device
from specrun.spec.document import Spec
from specrun.spec.shape import fields
from specrun.steps.contract import StepContext, StepInput, facts_of, folders_of
from specrun.steps.train.run import build_model, draw_model, new_state, with_model_placed
from specrun.tasks.opening import model_sizes, open_task
from specrun.training.loop import TrainState
from specrun.training.starting import put_forked


def open_trial(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> tuple[TrainState, ResolvedSchedule]:
    """The state, and the schedule that each of the training's workers has. This process is alone, whatever they will be.

    A rate that is still to be found is its optimizer's usual one. Raises: StoreError where the run that a fork begins with is not as it
    was planned with, SpecrunError for weights of another model.
    """
    if spec.schedule.optimizer.learning_rate == "auto":  # type: ignore[attr-defined]
        spec = with_value(spec, "schedule.optimizer.learning_rate", usual_rate(spec))
    device = open_device(context.hardware)
    facts, spec = facts_of(inputs), with_model_placed(spec, context)
    task = open_task(spec, folders=folders_of(inputs), facts=facts, seed=context.seed, device=device)
    schedule = resolve_schedule(
        spec.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=spec.task.sample_length(spec),
        sample_tokens=task.sample_tokens, workers=context.hardware.workers,
    )  # fmt: skip
    drawn: dict[str, Any] = {"sizes": model_sizes(spec, facts), "seed": context.seed, "device": device}
    state = new_state(spec, schedule, build_model(spec, **drawn), task, device, seed=context.seed)
    if (start := start_of(context.step.label)) is not None:
        checkpoints = context.store / "runs" / start.run_id / "checkpoints"
        put_forked(start, checkpoints, state, draw=partial(draw_model, spec, **drawn), kind=spec.schedule.optimizer.kind)
    return state, schedule


def usual_rate(spec: Spec) -> float:
    """The rate that the optimizer has where nothing is said of it."""
    return float(fields(type(spec.schedule.optimizer))["learning_rate"].info.default)
