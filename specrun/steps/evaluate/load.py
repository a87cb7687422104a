"""A trained model from its checkpoint, ready to judge or to use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from specrun.runtime.device import Device
from specrun.runtime.factory import load_factory
from specrun.spec.document import Spec
from specrun.training.checkpoints import load_weights

if TYPE_CHECKING:
    from torch import nn


def load_model(spec: Spec, checkpoint: Path, *, vocab_size: int, device: Device) -> nn.Module:
    """The spec's model with the weights of a checkpoint's folder, in evaluation mode. vocab_size: of the tokenizer.

    Raises: SpecrunError where the weights are unreadable or of another model.
    """
    model: nn.Module = load_factory(spec.model.factory)(spec.model, vocab_size=vocab_size, sequence_length=spec.data.sequence_length)
    model = model.to(device.place)
    load_weights(checkpoint / "model.safetensors", model, device)
    return model.eval()
