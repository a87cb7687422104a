"""SGD from its options: fused on every device, decay on matrices only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from specrun.runtime.distributed import own
from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups
from specrun.training.optimizers.sgd.options import Options
from specrun.training.optimizers.skipping import found_inf


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:  # noqa: ARG001
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products, of which there are none here."""
    parts = groups(by_decay(model), options.weight_decay, momentum=options.momentum, nesterov=options.nesterov)
    return SGD(parts, {"lr": given(options.learning_rate)})


class SGD(torch.optim.Optimizer):
    """torch's fused step, on this process's share of weights that several have, with momentum from zeros, which comes to the same.

    torch's own class knows no shares, and makes its buffers in the first step, of whatever memory holds where that step is skipped.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient once."""
        assert closure is None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            buffers: list[Tensor | None] = [self._buffer(parameter) if group["momentum"] else None for parameter in parameters]
            sgd(
                [own(parameter) for parameter in parameters], [own(parameter.grad) for parameter in parameters], buffers,
                fused=True, found_inf=found_inf(self), weight_decay=group["weight_decay"], momentum=group["momentum"], lr=group["lr"],
                dampening=0.0, nesterov=group["nesterov"], maximize=False,
            )  # fmt: skip

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return own(state["momentum_buffer"])
