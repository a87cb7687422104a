"""Lion from its options, all weights at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from specrun.runtime.distributed import own
from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups
from specrun.training.optimizers.lion.options import Options
from specrun.training.optimizers.skipping import found_inf, silence, unless


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:  # noqa: ARG001
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products, of which there are none here."""
    parts = groups(by_decay(model), options.weight_decay, betas=options.betas)
    return Lion(parts, {"lr": given(options.learning_rate)})


class Lion(torch.optim.Optimizer):
    """Groups with `betas`, `weight_decay` and `lr`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient once."""
        assert closure is None
        skip = found_inf(self)
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients, averages = [own(parameter.grad) for parameter in parameters], [self._average(parameter) for parameter in parameters]
            weights = [own(parameter) for parameter in parameters]
            (of_step, kept), rate = group["betas"], group["lr"]
            silence(gradients, skip)
            directions = torch._foreach_lerp(averages, gradients, 1 - of_step)  # noqa: SLF001 - torch documents it
            torch._foreach_sign_(directions)
            torch._foreach_mul_(averages, unless(skip, kept, skipped=1.0))
            torch._foreach_add_(averages, gradients, alpha=1 - kept)
            torch._foreach_mul_(weights, unless(skip, 1 - rate * group["weight_decay"], skipped=1.0))
            torch._foreach_mul_(directions, unless(skip, rate, skipped=0.0))
            torch._foreach_sub_(weights, directions)

    def _average(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
        return own(state["exp_avg"])
