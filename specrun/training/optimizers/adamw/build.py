"""AdamW from its options: fused on every device, decay on matrices only."""

from __future__ import annotations

import torch
from torch import nn

from specrun.training.optimizers.adamw.options import Options


def build(options: Options, *, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over all trainable parameters. Norms, biases and position embeddings do not decay."""
    decayed: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (decayed if parameter.dim() >= 2 and "position_embedding" not in name else rest).append(parameter)
    groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=options.learning_rate, betas=options.betas, eps=options.epsilon, fused=True
    )
