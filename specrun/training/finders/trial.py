"""A trial of a training: optimizer steps that are made as if, and leave nothing behind, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
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
    they were; the place in the data, which is the state's own, never moved."""
    with kept_random_state(), _kept_tensors(state.model), _kept_optimizer(state.optimizer):
        yield replace(state, loss_scale=copy.deepcopy(state.loss_scale), average=None)


@contextmanager
def _kept_tensors(model: nn.Module) -> Iterator[None]:
    tensors = [*model.parameters(), *model.buffers()]
    before = [(tensor.detach().clone(), None if tensor.grad is None else tensor.grad.clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, (value, gradient) in zip(tensors, before, strict=True):
                tensor.copy_(value)
                tensor.grad = gradient


@contextmanager
def _kept_optimizer(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Not by `state_dict`: loading one casts moments to the type of their parameters."""
    state = {parameter: {name: _copied(value) for name, value in values.items()} for parameter, values in optimizer.state.items()}
    groups = [{name: _copied(value) for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    try:
        yield
    finally:
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            for name in group.keys() - values.keys() - {"params"}:
                del group[name]
            group.update(values)


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
