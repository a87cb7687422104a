"""Adafactor from its options: all weights of one shape at once, nothing of it waits for the device.

torch's own reads several numbers of every weight on the host in each step, and takes no `found_inf`. A test holds the two together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import own, share_like, whole
from specrun.training.optimizers.adafactor.options import Options
from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups
from specrun.training.optimizers.skipping import found_inf, silence, unless

EPSILON = torch.finfo(torch.float32).eps
"""Least root of a second moment."""
LEAST_SIZE = 1e-3
"""Root mean square that weights are taken to have at least, so that zeros move."""


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:  # noqa: ARG001
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products, of which there are none here."""
    parts = groups(by_decay(model), options.weight_decay)
    return Adafactor(parts, options)


class Adafactor(torch.optim.Optimizer):
    """State of a weight: `step`, and `row_var` with `col_var` over its last two dimensions, or `variance` where it has but one."""

    def __init__(self, parameter_groups: Sequence[Mapping[str, Any]], options: Options) -> None:
        super().__init__([dict(group) for group in parameter_groups], {"lr": given(options.learning_rate)})
        self._options = options

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient once."""
        assert closure is None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for parameters in by_shape.values():
                self._move(parameters, rate=group["lr"], weight_decay=group["weight_decay"])

    def _move(self, parameters: list[Tensor], *, rate: float, weight_decay: float) -> None:
        """Move weights of one shape. Stacked tensors have the weight first, then the shape, 1 where one number stands for many.

        Of weights that several processes share, each works out all of the update and takes its own part of it.
        """
        skip, options = found_inf(self), self._options
        gradients = torch.stack([whole(parameter.grad) for parameter in parameters if parameter.grad is not None])
        silence([gradients], skip)
        kept = [self._state(parameter) for parameter in parameters]
        states = {name: torch.stack([whole(state[name]) for state in kept]) for name in kept[0]}
        states["step"] += unless(skip, 1.0, skipped=0.0)
        steps = states["step"].clamp(min=1.0).reshape(-1, *(1 for _ in parameters[0].shape))
        norms = torch.stack(torch._foreach_norm([whole(parameter) for parameter in parameters]))  # noqa: SLF001 - torch documents it
        sizes = norms.reshape(steps.shape) / parameters[0].numel() ** 0.5
        update = _precondition(gradients, states, steps**options.beta2_decay * unless(skip, 1.0, skipped=0.0))
        excess = (_size(update) / options.clip_threshold).clamp(min=1.0)
        update *= sizes.clamp(min=LEAST_SIZE) * steps.rsqrt().clamp(max=rate) / excess * unless(skip, 1.0, skipped=0.0)
        weights = [own(parameter) for parameter in parameters]
        torch._foreach_mul_(weights, unless(skip, 1 - rate * weight_decay, skipped=1.0))
        torch._foreach_sub_(weights, [own(share_like(part, parameter)) for part, parameter in zip(update, parameters, strict=True)])
        for name, stacked in states.items():
            new = [own(share_like(tensor, state[name])) for tensor, state in zip(stacked, kept, strict=True)]
            torch._foreach_copy_([own(state[name]) for state in kept], new)

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        if not self.state[parameter]:
            self.state[parameter] = _initial_state(parameter)
        state: dict[str, Tensor] = self.state[parameter]
        return state


def _precondition(gradients: Tensor, states: Mapping[str, Tensor], share: Tensor) -> Tensor:
    """Gradients over the root of their second moments, which take up a share of the gradients' squares first."""
    if "variance" in states:
        estimate = states["variance"].lerp_(gradients.square(), share).clone()
    else:
        squares = gradients.square()
        rows = states["row_var"].lerp_(squares.mean(dim=-1, keepdim=True), share)
        columns = states["col_var"].lerp_(squares.mean(dim=-2, keepdim=True), share)
        estimate = rows @ columns / rows.mean(dim=-2, keepdim=True).clamp(min=EPSILON)
    return estimate.clamp_(min=EPSILON**2).rsqrt_().mul_(gradients)


def _size(stacked: Tensor) -> Tensor:
    """Root mean square of each weight's."""
    return stacked.square().mean(dim=tuple(range(1, stacked.dim())), keepdim=True).sqrt()


def _initial_state(parameter: Tensor) -> dict[str, Tensor]:
    def zeros(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.float32, device=parameter.device)

    if parameter.dim() < 2:
        return {"step": zeros(), "variance": torch.zeros_like(parameter)}
    *leading, rows, columns = parameter.shape
    return {"step": zeros(), "row_var": zeros(*leading, rows, 1), "col_var": zeros(*leading, 1, columns)}
