"""One optimizer step, as a function over a small state. Owns no cadence, no record and no file.

The loss is the mean over all predictions of the whole optimizer step: without dropout, the micro-batch size changes what fits
in memory and nothing else. With it, masks are drawn a micro-batch at a time (those of attention in a fused kernel, which takes no
mask of ours), so that the size is part of what is trained, and of the step's key. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from specrun.runtime.compilation import Compilation
from specrun.runtime.device import Device
from specrun.runtime.distributed import whole
from specrun.runtime.protocols import Batch, Task
from specrun.runtime.seeds import derive, seed_torch
from specrun.training.loss_scaling import LossScale
from specrun.training.optimizers.skipping import found_inf
from specrun.training.parallel import ON_ITS_OWN, Parallel
from specrun.training.plateau import Plateau
from specrun.training.running_statistics import RunningStatistics
from specrun.training.starting_again import StartAgain
from specrun.training.time_limit import TimeLimit
from specrun.training.weight_average import WeightAverage


@dataclass(slots=True)
class TrainState:
    """What an optimizer step changes, and what it needs. step: optimizer steps done. learning_rate: of step n, from 0.

    gradient_clip: largest global L2 norm, or None. micro_batch_size: samples computed at once. position: batches taken from the
    data, those that were passed over included. rate_factor: what the course of the learning rate is scaled by.
    parallel: this process's part in a training of several.
    skip_non_finite: leave the update out where the loss or the gradient is not finite. loss_scale: what float16 needs; it leaves such
    an update out too. compilation: of the model's blocks, where they are compiled.
    tokens: predictions trained on. batch_weight, batch_positions: predictions of the batch whose gradient was computed last, and what was
    computed for them, padding included, by all workers.
    plateau: what evaluations have reduced the learning rate to, where they may. average: of the weights, where it is judged for them.
    time_limit: of a duration in time. statistics: what the model counts as it computes, where it does.
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
    tokens: int = 0
    batch_weight: int = 0
    batch_positions: int = 0
    rate_factor: float = 1.0
    parallel: Parallel = ON_ITS_OWN
    skip_non_finite: bool = False
    loss_scale: LossScale | None = None
    compilation: Compilation | None = None
    plateau: Plateau | None = None
    time_limit: TimeLimit | None = None
    average: WeightAverage | None = None
    statistics: RunningStatistics | None = None


@dataclass(frozen=True, slots=True)
class StepStats:
    """Outcome of one optimizer step; tensors are scalars that stay on the device. gradient_norm: before clipping. tokens: predictions
    that the loss is the mean of; positions: what was computed for them, padding included.

    scaled: the gradient was that of a scaled loss: where its norm is infinite, the scale was too large and nothing is amiss.
    """

    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float
    scaled: bool = False
    tokens: int = 1
    positions: int = 1


def train_step(state: TrainState, batch: Batch) -> StepStats:
    """Move the weights once, by the gradient of the mean loss over `batch`."""
    return update(state, accumulate(state, batch))


def accumulate(state: TrainState, batch: Batch) -> Tensor:
    """Add the gradient of the mean loss over `batch` to the parameters', a micro-batch at a time. Returns that loss, a scalar.

    torch is seeded anew for each micro-batch from (seed, step, micro-batch), so that dropout resumes bit for bit, and draws the same
    again where this is called again.
    """
    if state.statistics is not None:
        state.statistics.begin()
    if state.compilation is None:
        return _add_gradients(state, batch)
    if state.compilation.graphs and _is_divided(state, batch):
        state.compilation.leave_out_graphs()
    return state.compilation.attempt(partial(_add_gradients, state, batch), undo=partial(_take_back, state))


def _is_divided(state: TrainState, batch: Batch) -> bool:
    """Whether this process computes it in several micro-batches."""
    return sum(1 for _ in islice(state.parallel.parts(batch, state.micro_batch_size), 2)) > 1


def _take_back(state: TrainState, failure: str) -> None:
    """Let go of the gradient that a failed computation has left. What sums it over workers cannot be begun again in its midst."""
    if state.parallel.root is not None:
        alert = ("compile-failed", f"a step failed with compiled blocks, all workers go on from the last checkpoint eagerly: {failure}")
        raise StartAgain(f"{failure}; nothing is compiled from here on", alert=alert, eager=True)
    state.optimizer.zero_grad()


def _add_gradients(state: TrainState, batch: Batch) -> Tensor:
    losses, positions = [], 0
    for number, part, summing in state.parallel.parts(batch, state.micro_batch_size):
        seed_torch(derive(state.seed, "step", state.step, number))
        with summing:
            with state.device.autocast():
                loss = state.parallel.loss_sum(state.model, partial(state.task.loss_sum, batch=part)) / batch.weight
            (loss if state.loss_scale is None else state.loss_scale.scale(loss)).backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        positions += part.positions
    state.batch_weight, state.batch_positions = batch.weight, positions * state.parallel.workers.size
    return state.parallel.workers.add(losses[0] if len(losses) == 1 else torch.stack(losses).sum())


def update(state: TrainState, loss: Tensor) -> StepStats:
    """Move the weights by the gradient they have, and let go of it. A skipped update counts as a step and changes nothing else."""
    learning_rate = state.learning_rate(state.step) * state.rate_factor * (1.0 if state.plateau is None else state.plateau.fraction)
    if state.loss_scale is not None:
        state.loss_scale.unscale(_gradients(state))
    gradient_norm = _clip(state)
    if state.skip_non_finite or state.loss_scale is not None:
        # What torch's optimizers leave a whole update out for, their counts of steps included, as they do under a gradient scaler.
        state.optimizer.found_inf = skip = _not_finite(loss, gradient_norm)  # type: ignore[attr-defined]
        if state.loss_scale is not None:
            gradient_norm = state.loss_scale.shown(gradient_norm)
            state.loss_scale.update(skip)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate * group.get("lr_scale", 1.0)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    if state.statistics is not None:
        state.statistics.settle(state.parallel.workers, skip=found_inf(state.optimizer))
    state.step += 1
    state.position += 1
    state.tokens += state.batch_weight
    if state.average is not None:
        state.average.update(steps=state.step, skip=found_inf(state.optimizer))
    return StepStats(
        loss, gradient_norm, learning_rate, state.loss_scale is not None, tokens=state.batch_weight, positions=state.batch_positions
    )


def _not_finite(loss: Tensor, gradient_norm: Tensor) -> Tensor:
    """1.0 where one of them is NaN or infinite, else 0.0; float32, on the device."""
    return torch.stack((loss, gradient_norm)).isfinite().all().logical_not().float()


def _clip(state: TrainState) -> Tensor:
    """Scale gradients to the largest allowed global norm. Returns the norm they had."""
    norm = whole(torch.nn.utils.get_total_norm(_gradients(state)))
    if state.gradient_clip is not None:
        parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grads_with_norm_(parameters, state.gradient_clip, norm)
    return norm


def _gradients(state: TrainState) -> list[Tensor]:
    return [p.grad for group in state.optimizer.param_groups for p in group["params"] if p.grad is not None]
