"""Models with weights that make every part matter, and what they keep for their backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def randomized(model: Model, *, seed: int = 0) -> Model:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def saved_bytes(model: nn.Module, call: Callable[[], object]) -> int:
    """Bytes that autograd keeps of a call, without the model's own."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = call()  # noqa: F841 - what it is made of lives as long as it does
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own)
