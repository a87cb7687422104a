"""Interpretable multi-head attention (Lim et al. 2021, section 4.4): heads differ in queries and keys and share one value.

The mean over heads of what each reads is what the mean of their probabilities reads. Shapes: B samples, K heads, D size of a head, H steps
of the horizon, which ask, T positions, which are asked; C width; A samples at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from specrun.models.columns import Columns, fusable

_AT_ONCE = 2**18
"""Probabilities that are computed at once."""


class Attention(nn.Module):
    """Each step of the horizon looks at all positions up to its own."""

    def __init__(self, width: int, heads: int, *, context: int, horizon: int) -> None:
        super().__init__()
        self.heads, self.head_size, self.horizon = heads, width // heads, horizon
        self.queries = Columns(width, width)
        self.keys_value = Columns(width, width + self.head_size, parts=(width, self.head_size))
        self.out = Columns(self.head_size, width)
        unseen = torch.ones(horizon, context + horizon, dtype=torch.bool).triu(context + 1)
        self.register_buffer("mask_HT", torch.zeros(unseen.shape).masked_fill_(unseen, -torch.inf), persistent=False)

    def forward(self, x_CN: Tensor, *, samples: int) -> tuple[Tensor, Tensor]:
        """(C, T B), in the order of time, to (C, H B), and the mean probabilities (B, H, T)."""
        width = len(x_CN)
        queries_CN = self.queries(x_CN[:, -self.horizon * samples :]) * self.head_size**-0.5
        q_BKHD = queries_CN.view(self.heads, self.head_size, -1, samples).permute(3, 0, 2, 1)
        keys_CN, value_DN = self.keys_value(x_CN).split((width, self.head_size))
        k_BKDT = keys_CN.view(self.heads, self.head_size, -1, samples).permute(3, 0, 1, 2)
        v_BDT = value_DN.view(self.head_size, -1, samples).permute(2, 0, 1)
        parts = q_BKHD.contiguous(), k_BKDT.contiguous(), v_BDT.contiguous(), self.get_buffer("mask_HT")
        read_BDH, mean_BHT = attend_fused(*parts) if fusable(x_CN) else attend(*parts)
        return self.out(read_BDH.permute(1, 2, 0).reshape(self.head_size, -1)), mean_BHT


def attend(q_BKHD: Tensor, k_BKDT: Tensor, v_BDT: Tensor, mask_HT: Tensor) -> tuple[Tensor, Tensor]:
    """What is read (B, D, H), and the mean probabilities (B, H, T), by autograd."""
    mean_BHT = (q_BKHD @ k_BKDT + mask_HT).softmax(-1).mean(1)
    return v_BDT @ mean_BHT.mT.to(v_BDT.dtype), mean_BHT


def attend_fused(q_BKHD: Tensor, k_BKDT: Tensor, v_BDT: Tensor, mask_HT: Tensor) -> tuple[Tensor, Tensor]:
    """The same, a few samples at a time, the heads' probabilities computed a second time on the way back instead of kept."""
    found: tuple[Tensor, Tensor] = _Attend.apply(q_BKHD, k_BKDT, v_BDT, mask_HT)  # type: ignore[no-untyped-call]
    return found


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        q_BKHD, k_BKDT, v_BDT, mask_HT = inputs
        mean_BHT = q_BKHD.new_empty(len(q_BKHD), *mask_HT.shape)
        for part in _parts(q_BKHD, mask_HT):
            torch.mean(_probabilities(q_BKHD[part], k_BKDT[part], mask_HT), 1, out=mean_BHT[part])
        ctx.save_for_backward(*inputs, mean_BHT)
        ctx.mark_non_differentiable(mean_BHT)
        ctx.set_materialize_grads(False)
        return torch.bmm(v_BDT, mean_BHT.mT), mean_BHT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        q_BKHD, k_BKDT, v_BDT, mask_HT, mean_BHT = ctx.saved_tensors
        grad_q, grad_k = torch.empty_like(q_BKHD), torch.empty_like(k_BKDT)
        grad_BDH = grad_outputs[0]
        grad_BHT = torch.bmm(grad_BDH.mT, v_BDT).div_(q_BKHD.shape[1])
        for part in _parts(q_BKHD, mask_HT):
            shares_AKHT = _probabilities(q_BKHD[part], k_BKDT[part], mask_HT)
            scores_AKHT = torch.mul(shares_AKHT, grad_BHT[part, None])
            scores_AKHT.sub_(shares_AKHT.mul_(scores_AKHT.sum(-1, keepdim=True)))
            # A view of the transposed keys: as they lie beside queries, MKL takes ten times as long.
            grad_q[part] = scores_AKHT @ k_BKDT[part].mT
            grad_k[part] = q_BKHD[part].mT @ scores_AKHT
        return grad_q, grad_k, torch.bmm(grad_BDH, mean_BHT), None


def _parts(q_BKHD: Tensor, mask_HT: Tensor) -> Iterator[slice]:
    step = max(1, _AT_ONCE // (q_BKHD.shape[1] * mask_HT.numel()))
    return (slice(start, start + step) for start in range(0, len(q_BKHD), step))


def _probabilities(q_AKHD: Tensor, k_AKDT: Tensor, mask_HT: Tensor) -> Tensor:
    scores_AKHT = q_AKHD @ k_AKDT
    # The context is seen from everywhere.
    ahead = slice(-len(mask_HT), None)
    scores_AKHT[..., ahead].add_(mask_HT[:, ahead])
    return torch.softmax(scores_AKHT, -1, out=scores_AKHT)
