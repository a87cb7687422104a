"""Runs the `find_micro_batch` step: the fastest size among the largest that fit, measured eagerly in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from specrun.errors import SpecrunError
from specrun.events import Message, Progress
from specrun.plan import figures
from specrun.plan.finders import micro_batch_sizes, with_value
from specrun.plan.room import allow
from specrun.spec.document import Spec
from specrun.steps.contract import StepContext, StepInput, StepOutput
from specrun.steps.train.trial import open_trial
from specrun.training.finders.micro_batch import Trial, fastest, measure_sizes

TRIALS = "micro_batch.json"


def run(context: StepContext, spec: Spec, inputs: Mapping[str, StepInput]) -> StepOutput:
    """Find the micro-batch size. values: found, and bytes and seconds a sample of each size that was tried.

    Raises: SpecrunError where not even one sample fits.
    """
    settings = context.step.options["settings"]
    # Documents are computed in no more tokens than as many windows are: these take the most memory there can be.
    spec = with_value(with_value(spec, "schedule.micro_batch_size", "auto"), "data.packing", "stream")
    state, schedule = open_trial(context, spec, inputs)
    hardware = context.hardware
    memory = hardware.memory_bytes // (hardware.devices if hardware.kind == "cpu" else 1)  # of a processor all processes have it together
    room = int((1 - settings["margin"]) * memory)
    whole, sizes = state.task.train_batch(0, count=schedule.micro_batch_size), micro_batch_sizes(schedule.micro_batch_size)
    trials = measure_sizes(
        state, whole, sizes, room_bytes=room, memory_bytes=memory, timed_steps=settings["timed_steps"],
        tell=lambda what, size: context.emit(Progress(context.step.id, size, None, f"{what} a micro-batch of")),
    )  # fmt: skip
    found = fastest(trials)
    if found is None:
        raise no_size_fits(trials[0], memory_bytes=memory, spec=spec, processes=hardware.memory_bytes // memory)
    context.emit(Message(f"{context.step.id}: {found.size}, the fastest of the largest that fit"))
    (context.folder / TRIALS).write_text(json.dumps([asdict(trial) for trial in trials], indent=1) + "\n")
    return StepOutput({"found": found.size, "peak_bytes": found.peak_bytes, "room_bytes": room}, {TRIALS: "micro_batch_trials"})


def no_size_fits(smallest: Trial, *, memory_bytes: int, spec: Spec, processes: int) -> SpecrunError:
    """The failure where not even the smallest size fits. memory_bytes: for each of so many processes."""
    limited = spec.hardware.memory is not None
    have = f"the {figures.size(memory_bytes)} that {'hardware.memory allows' if limited else 'the device has'}"
    have += f" for each of {processes} processes" if processes > 1 else ""
    if smallest.beyond_bytes is None:
        smaller = "use a smaller data.sequence_length, model.width or model.num_layers"
        return SpecrunError(f"not even a micro-batch of one sample fits into {have}", code="out-of-memory", hint=smaller)
    return SpecrunError(
        f"a micro-batch of one sample takes {figures.size(smallest.beyond_bytes)}, more than {have}",
        code="out-of-memory",
        hint=f"{allow(smallest.beyond_bytes * processes, limited=limited)}, or a smaller data.sequence_length, model.width or "
        "model.num_layers",
    )
