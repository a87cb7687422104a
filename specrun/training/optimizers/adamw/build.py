"""AdamW from its options: fused on every device, decay on matrices only."""

from __future__ import annotations

import torch
from torch import nn

from specrun.training.optimizers.adamw.options import Options
from specrun.training.optimizers.base_rate import given
from specrun.training.optimizers.groups import by_decay, groups


def build(options: Options, *, model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> torch.optim.Optimizer:  # noqa: ARG001
    """The optimizer over all trainable parameters. compute_dtype: of the device's matrix products, of which there are none here."""
    parts = groups(by_decay(model), options.weight_decay)
    return torch.optim.AdamW(parts, lr=given(options.learning_rate), betas=options.betas, eps=options.epsilon, fused=True)
