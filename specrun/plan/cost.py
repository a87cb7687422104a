"""What a model costs, as its options predict it without building it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelCost:
    """parameters: trainable numbers, shared ones once. flops_per_token: forward and backward, multiply and add as two.
    activation_bytes_per_token: float32 bytes kept for the backward pass, logits counted."""

    parameters: int
    flops_per_token: int
    activation_bytes_per_token: int
