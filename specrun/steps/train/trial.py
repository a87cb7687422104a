"""The state of a training before its first step, for steps that try it out. Drawn for seed 0, so that every seed shares what is found."""

from __future__ import annotations

from collections.abc import Mapping

from specrun.plan.finders import with_value
from specrun.plan.resolve import ResolvedSchedule, resolve_schedule
from specrun.runtime.device import open_device
from specrun.spec.document import Spec
from specrun.spec.shape import fields
from specrun.steps.contract import StepContext, StepInput
from specrun.steps.train.run import build_model, new_state
from specrun.tasks.opening import open_task
from specrun.training.loop import TrainState


def open_trial(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> tuple[TrainState, ResolvedSchedule]:
    """The state, and the schedule that each of the training's workers has. This process is alone, whatever they will be.

    A rate that is still to be found is its optimizer's usual one.
    """
    if spec.schedule.optimizer.learning_rate == "auto":  # type: ignore[attr-defined]
        spec = with_value(spec, "schedule.optimizer.learning_rate", usual_rate(spec))
    device = open_device(context.hardware)
    folders = {kind: parent.folder for kind, parent in inputs.items()}
    task = open_task(spec, folders=folders, seed=context.seed, device=device)
    schedule = resolve_schedule(
        spec.schedule, samples_per_epoch=task.samples_per_epoch, sequence_length=spec.data.sequence_length,
        sample_tokens=task.sample_tokens, workers=context.hardware.workers,
    )  # fmt: skip
    model = build_model(spec, vocab_size=inputs["tokens"].values["vocab_size"], seed=context.seed, device=device)
    return new_state(spec, schedule, model, task, device, seed=context.seed), schedule


def usual_rate(spec: Spec) -> float:
    """The rate that the optimizer has where nothing is said of it."""
    return float(fields(type(spec.schedule.optimizer))["learning_rate"].info.default)
