"""What every task does around its evaluation: the model's mode, the pause between two batches, a perplexity that stays a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from specrun.runtime.device import Device

LARGEST_EXPONENT = math.log(2.0**1000)
T = TypeVar("T")


@contextmanager
def evaluating(model: nn.Module, device: Device) -> Iterator[None]:
    """Dropout off, no gradients, the device's arithmetic; the model is in the mode it was in whatever is raised."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), device.autocast():
            yield
    finally:
        model.train(training)


def with_pauses(batches: Iterable[T], between: Callable[[], None]) -> Iterator[T]:
    """Each batch. between: called between two of them; what it raises ends them."""
    for number, batch in enumerate(batches):
        if number:
            between()
        yield batch


def perplexity(nats: float) -> float:
    """exp(nats); infinite beyond 1e301."""
    return math.inf if nats >= LARGEST_EXPONENT else math.exp(nats)
