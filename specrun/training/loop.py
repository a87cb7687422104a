"""One optimizer step, as a function over a small state. Owns no cadence, no record and no file.

The loss is the mean over all predictions of the whole optimizer step: without dropout, the micro-batch size changes what fits
in memory and nothing else. With it, masks are drawn a micro-batch at a time (those of attention in a fused kernel, which takes no
mask of ours), so that the size is part of what is trained, and of the step's key. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from specrun.runtime.device import Device
from specrun.runtime.protocols import Batch, Task
from specrun.runtime.seeds import derive, seed_torch


@dataclass(slots=True)
class TrainState:
    """What an optimizer step changes, and what it needs. step: optimizer steps done. learning_rate: of step n, from 0.

    gradient_clip: largest global L2 norm, or None. micro_batch_size: samples computed at once. position: batches taken from the
    data, those that were passed over included. rate_factor: what the course of the learning rate is scaled by.
    compute_loss: the loss sum of a micro-batch, where something stands between the task and the model; the task's own otherwise.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    task: Task
    device: Device
    learning_rate: Callable[[int], float]
    gradient_clip: float | None
    micro_batch_size: int
    seed: int
    step: int = 0
    position: int = 0
    rate_factor: float = 1.0
    compute_loss: Callable[[Batch], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class StepStats:
    """Outcome of one optimizer step; tensors are scalars that stay on the device. gradient_norm: before clipping."""

    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float


def train_step(state: TrainState, batch: Batch) -> StepStats:
    """Move the weights once, by the gradient of the mean loss over `batch`, accumulated over micro-batches.

    torch is seeded anew for each micro-batch from (seed, step, micro-batch), so that dropout resumes bit for bit.
    """
    learning_rate = state.learning_rate(state.step) * state.rate_factor
    losses = []
    for number, part in enumerate(batch.split(state.micro_batch_size)):
        seed_torch(derive(state.seed, "step", state.step, number))
        with state.device.autocast():
            loss = _loss_sum(state, part) / batch.weight
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
    gradient_norm = _clip(state)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    state.position += 1
    return StepStats(losses[0] if len(losses) == 1 else torch.stack(losses).sum(), gradient_norm, learning_rate)


def _loss_sum(state: TrainState, part: Batch) -> Tensor:
    return state.task.loss_sum(state.model, part) if state.compute_loss is None else state.compute_loss(part)


def _clip(state: TrainState) -> Tensor:
    """Scale gradients to the largest allowed global norm. Returns the norm they had."""
    gradients = [p.grad for group in state.optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if state.gradient_clip is not None:
        parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grads_with_norm_(parameters, state.gradient_clip, norm)
    return norm
