"""The task of a spec on the data of finished steps, and what its model is built with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.runtime.device import Device
from specrun.runtime.factory import load_factory
from specrun.runtime.protocols import Task
from specrun.spec.document import Spec
from specrun.spec.model_options import ModelOptions
from specrun.tasks.contract import Opening

if TYPE_CHECKING:
    from torch import nn


def open_task(
    spec: Spec, *, folders: Mapping[str, Path], facts: Mapping[str, Mapping[str, Any]], seed: int, device: Device,
    pad_to_few_shapes: bool = False, final: bool = False,
) -> Task:  # fmt: skip
    """folders, facts: of the finished steps by their kind, what they left and what they told; pad_to_few_shapes: as code that is
    compiled for each shape wants what varies in length; final: what it judges is judged for good.

    Raises: DataError for data that the task cannot train on.
    """
    opening = Opening(spec=spec, folders=folders, facts=facts, seed=seed, device=device, pad_to_few_shapes=pad_to_few_shapes, final=final)
    task: Task = load_factory(spec.task.factory)(spec.task, opening)
    return task


def model_sizes(spec: Spec, facts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The keywords that the spec's model is built with. facts: of the finished steps by their kind."""
    return dict(spec.task.sizes(spec, facts[spec.task.prepared_by[-1]]))


def make_model(options: ModelOptions, *, interface: str, sizes: Mapping[str, Any]) -> nn.Module:
    """A model by its options, with its initial weights. interface: of the task; sizes: see `model_sizes`."""
    told = {"interface": interface} if options.wants_interface else {}
    model: nn.Module = load_factory(options.factory)(options, **sizes, **told)
    return model
