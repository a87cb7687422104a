"""The smoke layer: the whole graph on two tiny batches, in a store of its own so that no figure of it mixes with real history."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from specrun.engine.locks import hold, is_free
from specrun.records.place import SMOKE_FOLDER, check_place
from specrun.spec.assembly import Layer
from specrun.spec.document import Spec

_DOCUMENTS = 200


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
    with hold(lock, what="the smoke run"):
        for other in smoke.parent.glob("*.lock"):
            if other != lock and is_free(other):
                shutil.rmtree(other.with_suffix(""), ignore_errors=True)
                other.unlink(missing_ok=True)
        yield


def smoke_layers(spec: Spec) -> tuple[Layer, ...]:
    """Overrides that shrink a spec, none of which makes it larger. Values that the spec's kinds do not have are left out."""
    values = {
        "schedule.duration": "2 steps",
        "schedule.batch_size": min(2, spec.schedule.batch_size),
        "schedule.micro_batch_size": "auto",
        "schedule.learning_rate.warmup": "1 steps",
        "schedule.evaluate.every": "1 steps",
        "schedule.evaluate.max_batches": 2,
        "schedule.checkpoint.every": "1 steps",
        "schedule.log_every": "1 steps",
        "data.limit": min(_DOCUMENTS, spec.data.limit or _DOCUMENTS),
        "data.sequence_length": min(32, spec.data.sequence_length),
        "task.sample_tokens": 16,
        "expect": [],
    }
    return (Layer("smoke", values, optional=True),)
