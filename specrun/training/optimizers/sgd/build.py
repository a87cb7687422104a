"""SGD from its options: fused on every device, decay on matrices only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups
from specrun.training.optimizers.sgd.options import Options


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:  # noqa: ARG001
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products, of which there are none here."""
    parts = groups(by_decay(model), options.weight_decay)
    return SGD(parts, lr=given(options.learning_rate), momentum=options.momentum, nesterov=options.nesterov, fused=True)


class SGD(torch.optim.SGD):
    """torch's, with momentum from zeros, which comes to the same.

    torch makes its buffers in the first step, and where that step is skipped, of whatever memory holds.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient once."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if group["momentum"] and parameter.grad is not None and not self.state[parameter]:
                    self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        super().step(closure)
