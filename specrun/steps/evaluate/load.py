"""A trained model from its checkpoint, ready to judge or to use."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specrun.errors import StoreError
from specrun.runtime.device import Device
from specrun.runtime.products import multiplication, multiply_by
from specrun.spec.document import Spec
from specrun.tasks.opening import make_model
from specrun.training.checkpoint_files import damage
from specrun.training.checkpoints import load_weights

if TYPE_CHECKING:
    from torch import nn


_WEIGHTS = "model.safetensors"


class DamagedCheckpoint(StoreError):
    """A checkpoint that is not as it was written."""


def load_model(spec: Spec, checkpoint: Path, *, sizes: Mapping[str, Any], device: Device) -> nn.Module:
    """The spec's model with the weights of a checkpoint's folder, adapters merged, in evaluation mode, on the host: what several devices
    share need not fit on one. sizes: see `tasks.opening.model_sizes`; device: what it will compute on.

    Raises: DamagedCheckpoint where a byte of those weights is not as written; SpecrunError where the weights are of another model.
    """
    if (reason := damage(checkpoint, only=_WEIGHTS)) is not None:
        raise DamagedCheckpoint(
            f"{checkpoint} is damaged: {reason}",
            code="damaged-checkpoint",
            hint=f"remove it with: rm -r {shlex.quote(str(checkpoint))} and apply the spec again, which makes these weights again",
        )
    model = make_model(spec.model.restored(checkpoint), interface=spec.task.interface, sizes=sizes)
    multiply_by(multiplication(device, few_shapes=spec.task.few_shapes(spec)), model)
    load_weights(checkpoint / _WEIGHTS, model, lora=spec.schedule.parameters.lora)
    return model.eval()
