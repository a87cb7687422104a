"""Cross-entropy of a linear output layer without holding all logits at once.

Shapes: N tokens, C width, V vocabulary. Where N x V logits are few, torch's own functions are used as they are.
`torch.nn.functional.linear_cross_entropy` (torch 2.13) is not used: its chunks compute in float32 under autocast, fall back to whole
logits with label smoothing, and at the size of ours are no faster (docs/benchmarks.md).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.plan.cost import LOGITS_AT_ONCE
from specrun.runtime.products import Multiply


def linear_cross_entropy_sum(
    hidden_NC: Tensor, head_VC: Tensor, labels_N: Tensor, *, label_smoothing: float = 0.0, chunk_elements: int | None = None,
    multiply: Multiply = F.linear,
) -> Tensor:  # fmt: skip
    """Negative log-likelihood summed over tokens, with gradients. Returns: scalar, float32, nats.

    label_smoothing: share of each target that is spread over the whole vocabulary (Szegedy et al. 2016). multiply: x W^T.
    """
    rows = _rows(hidden_NC, head_VC, chunk_elements)
    if rows >= len(labels_N):
        logits_NV = multiply(hidden_NC, head_VC).float()
        return F.cross_entropy(logits_NV, labels_N, reduction="sum", label_smoothing=label_smoothing)
    loss: Tensor = _ChunkedCrossEntropy.apply(hidden_NC, head_VC, labels_N, label_smoothing, rows, multiply)  # type: ignore[no-untyped-call]
    return loss


def linear_scores(
    hidden_NC: Tensor, head_VC: Tensor, labels_N: Tensor, *, chunk_elements: int | None = None, multiply: Multiply = F.linear
) -> tuple[Tensor, Tensor]:
    """For evaluation: (negative log-likelihood in nats, tokens ranked first correctly), each summed, float64 scalars."""
    rows = _rows(hidden_NC, head_VC, chunk_elements)
    nll = torch.zeros((), dtype=torch.float64, device=hidden_NC.device)
    correct = torch.zeros_like(nll)
    for start in range(0, len(labels_N), rows):
        hidden, labels = hidden_NC[start : start + rows], labels_N[start : start + rows]
        logits = multiply(hidden, head_VC).float()
        nll += F.cross_entropy(logits, labels, reduction="none").double().sum()
        correct += (logits.argmax(dim=-1) == labels).sum()
    return nll, correct


def _rows(hidden_NC: Tensor, head_VC: Tensor, chunk_elements: int | None) -> int:
    limit = chunk_elements or LOGITS_AT_ONCE.get(hidden_NC.device.type, LOGITS_AT_ONCE["cpu"])
    return max(1, limit // len(head_VC))


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Computes the gradients in the forward pass, chunk by chunk, as Hsu et al. 2024 ("Liger Kernel") do; the loss is a
    scalar, so the backward pass only scales them."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        hidden_NC, head_VC, labels_N, label_smoothing, rows, multiply = inputs
        total = torch.zeros((), dtype=torch.float32, device=hidden_NC.device)
        # What is frozen costs neither memory nor a product.
        grad_hidden_NC = torch.empty_like(hidden_NC) if ctx.needs_input_grad[0] else None
        grad_head_VC = torch.zeros_like(head_VC) if ctx.needs_input_grad[1] else None
        for start in range(0, len(labels_N), rows):
            hidden, labels = hidden_NC[start : start + rows], labels_N[start : start + rows]
            logits = multiply(hidden, head_VC).float()
            total += F.cross_entropy(logits, labels, reduction="sum", label_smoothing=label_smoothing)
            grad_logits = torch.softmax(logits, dim=-1)
            grad_logits[torch.arange(len(labels), device=labels.device), labels] -= 1 - label_smoothing
            if label_smoothing:
                grad_logits -= label_smoothing / len(head_VC)
            if grad_hidden_NC is not None:
                grad_hidden_NC[start : start + rows] = multiply(grad_logits, head_VC.t())
            if grad_head_VC is not None:
                grad_head_VC += multiply(hidden.t(), grad_logits.t()).t()
        ctx.save_for_backward(grad_hidden_NC, grad_head_VC)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (scale,) = grad_outputs
        # In place: a second copy of the head's gradient would be the largest tensor of many a step. A second backward pass through
        # the same graph raises, as saved tensors that have changed do.
        return (*(None if gradient is None else gradient.mul_(scale) for gradient in ctx.saved_tensors), *[None] * 4)
