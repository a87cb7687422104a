"""The task of a spec on the data of finished steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.runtime.device import Device
from specrun.runtime.factory import load_factory
from specrun.runtime.protocols import Task
from specrun.spec.document import Spec
from specrun.training.documents import Reading


def open_task(spec: Spec, *, folders: Mapping[str, Path], seed: int, device: Device, pad_to_few_shapes: bool = False) -> Task:
    """folders: of the steps by their kind; pad_to_few_shapes: as code that is compiled for each shape wants what varies in length.

    Raises: DataError for a corpus too short.
    """
    data, more = spec.data, dict[str, Any]()
    if data.packing == "documents":
        more["reading"] = Reading(spec.schedule.batch_size, group_by_length=data.group_by_length, pad_to_few_shapes=pad_to_few_shapes)
    task: Task = load_factory(spec.task.factory)(
        spec.task, folders=folders, sequence_length=data.sequence_length, seed=seed, device=device, **more
    )
    return task
