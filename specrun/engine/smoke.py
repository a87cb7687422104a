"""The smoke layer: the whole graph on two tiny batches, in a store of its own so that no figure of it mixes with real history."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specrun.engine.locks import removing, wait_for
from specrun.plan.finders import LEARNING_RATE
from specrun.plan.resolve import count_steps
from specrun.records.place import SMOKE_FOLDER, check_place
from specrun.spec.assembly import Layer
from specrun.spec.document import Spec
from specrun.spec.split_options import folds_asked
from specrun.spec.units import Quantity

_DOCUMENTS = 200
_STEPS = 2


def smoke_store(store: Path) -> Path:
    """An empty place for a smoke run: it is to run every step, so it sees nothing of an earlier one. Creates nothing.

    Raises UsageError for a store that is none.
    """
    check_place(store)
    return store / SMOKE_FOLDER / f"{time.time_ns()}-{os.getpid()}"


@contextmanager
def sole_use(smoke: Path) -> Iterator[None]:
    """Hold a smoke store while it is worked in, and remove those of smoke runs that have ended."""
    lock = smoke.with_name(f"{smoke.name}.lock")
    with wait_for(lock, on_wait=lambda _: None):  # a smoke run that tidies may have it for a moment, between its making and its locking
        for other in smoke.parent.glob("*.lock"):
            if other == lock:
                continue
            with removing(other) as ended:
                if ended:
                    shutil.rmtree(other.with_suffix(""), ignore_errors=True)
        yield


def smoke_layers(spec: Spec) -> tuple[Layer, ...]:
    """Overrides that shrink a spec: nothing in it becomes longer, wider or more, but that evaluations and checkpoints come at each
    step. A duration in epochs, or in time, becomes two steps; of all folds the first is run. Values that the spec's kinds do not have are
    left out."""
    schedule, data = spec.schedule, spec.data
    steps = min(_STEPS, _steps(spec))
    together = spec.hardware.engine == "torchrun"
    devices = spec.hardware.devices if together and spec.hardware.devices != "auto" else 1
    values = {
        "schedule.duration": f"{steps} steps",
        "schedule.batch_size": max(devices, min(2, schedule.batch_size)),
        "schedule.micro_batch_size": "auto",
        "schedule.evaluate.every": "1 steps",
        "schedule.evaluate.max_batches": _at_most(2, schedule.evaluate.max_batches),
        "schedule.evaluate.samples": _at_most(1, schedule.evaluate.samples),
        "schedule.checkpoint.every": "1 steps",
        "schedule.log_every": "1 steps",
        "data.limit": _at_most(_DOCUMENTS, data.limit),
        "task.sample_tokens": _at_most(16, getattr(spec.task, "sample_tokens", None)),
        "task.context": _at_most(32, getattr(spec.task, "context", None)),
        "task.horizon": _at_most(8, getattr(spec.task, "horizon", None)),
        "expect": [],
    }
    if "sequence_length" in spec.task.data_settings:
        values["data.sequence_length"] = min(32, data.sequence_length)
    if folds_asked(spec):
        values["data.split.fold"] = 1
    if together:  # on this machine alone, so that no other one has to be there
        values |= {"hardware.devices": devices, "hardware.nodes": 1}
    warmup: Quantity | None = getattr(schedule.learning_rate, "warmup", None)
    if warmup is not None and warmup.amount:
        values["schedule.learning_rate.warmup"] = f"{steps - 1} steps"
    return (Layer("smoke", values, optional=True),)


SMOKE_SETTINGS: Mapping[str, Mapping[str, Any]] = {LEARNING_RATE: {"steps": 12}}
"""Of kinds of step, what makes them short."""


def _steps(spec: Spec) -> int:
    """Optimizer steps that the spec asks for, as far as that can be told without its data."""
    duration = spec.schedule.duration
    if duration.unit in ("epochs", "seconds"):
        return _STEPS
    return count_steps(duration, spec.schedule.batch_size, 1, spec.task.sample_length(spec), None)


def _at_most(limit: int, asked: int | None) -> int:
    """The limit, or what was asked for where that is less; None asks for all there is."""
    return limit if asked is None else min(limit, asked)
