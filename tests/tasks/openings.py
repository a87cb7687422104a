"""A task's opening on token files of a test's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specrun.models.gpt.options import Options as Gpt
from specrun.runtime.device import Device
from specrun.sources.python_docs.options import Options as PythonDocs
from specrun.spec.document import Spec
from specrun.spec.sections.data import Data
from specrun.spec.sections.schedule import Schedule
from specrun.spec.task_options import TaskOptions
from specrun.tasks.contract import Opening
from specrun.training.documents import Reading


def opening(
    task: TaskOptions, folders: Mapping[str, Path], *, device: Device, sequence_length: int, seed: int = 3, reading: Reading | None = None
) -> Opening:
    """reading: how documents are read each for itself; None: the stream is."""
    data: dict[str, Any] = {"source": PythonDocs(kind="python_docs"), "sequence_length": sequence_length}
    schedule = Schedule()
    if reading is not None:
        data |= {"packing": "documents", "group_by_length": reading.group_by_length}
        schedule = Schedule(batch_size=reading.batch_size)
    spec = Spec(version=1, name="opened", task=task, data=Data(**data), model=Gpt(kind="gpt"), schedule=schedule)
    shapes = reading is not None and reading.pad_to_few_shapes
    return Opening(spec=spec, folders=folders, facts={}, seed=seed, device=device, pad_to_few_shapes=shapes)
