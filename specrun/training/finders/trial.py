"""A trial of a training: optimizer steps that are made as if, and leave nothing behind, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from specrun.runtime.seeds import kept_random_state
from specrun.training.loop import TrainState


@contextmanager
def trial(state: TrainState) -> Iterator[TrainState]:
    """A state to train with, from where `state` is. At its end weights, buffers, gradients, moments, rates and random numbers are as
    they were; the place in the data, which is the state's own, never moved. What is put back waits on the host: a device's memory is what
    some trials measure."""
    with kept_random_state(), _kept_tensors(state.model), _kept_optimizer(state.optimizer):
        yield replace(state, loss_scale=copy.deepcopy(state.loss_scale), average=None, statistics=None)


@contextmanager
def _kept_tensors(model: nn.Module) -> Iterator[None]:
    tensors = [*model.parameters(), *model.buffers()]
    before = [(_on_host(tensor), None if tensor.grad is None else _on_host(tensor.grad)) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, (value, gradient) in zip(tensors, before, strict=True):
                tensor.copy_(value)
                tensor.grad = None if gradient is None else gradient.to(tensor.device)


@contextmanager
def _kept_optimizer(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Not by `state_dict`: loading one casts moments to the type of their parameters."""
    state = {parameter: {name: _kept(value) for name, value in values.items()} for parameter, values in optimizer.state.items()}
    groups = [{name: _kept(value) for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    try:
        yield
    finally:
        optimizer.state.clear()
        optimizer.state.update({parameter: {name: give() for name, give in values.items()} for parameter, values in state.items()})
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            for name in group.keys() - values.keys() - {"params"}:
                del group[name]
            group.update({name: give() for name, give in values.items()})


def _kept(value: Any) -> Callable[[], Any]:
    """Gives a value as it is now, tensors where they are now."""
    if not isinstance(value, Tensor):
        return lambda: value
    kept, place = _on_host(value), value.device
    return lambda: kept.to(place)


def _on_host(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True)
