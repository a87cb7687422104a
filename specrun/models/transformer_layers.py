"""The layers of a transformer: norms, attention, MLPs, positions, by a `Design`.

Shapes: B sequences, T new positions, S positions attended to, C width, H query heads, K key-value heads, D size of a head,
M hidden size of the MLP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.design import NORM_EPSILON, ROPE_THETA, Design
from specrun.models.transformer_cache import Cache


class RMSNorm(nn.Module):
    """Root-mean-square norm (Zhang & Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTC: Tensor) -> Tensor:
        # Fused kernels want weights of the input's type.
        return F.rms_norm(x_BTC, self.weight.shape, self.weight.type_as(x_BTC), NORM_EPSILON)


def make_norm(design: Design) -> nn.Module:
    """A norm over the width."""
    if design.form.norm == "rms":
        return RMSNorm(design.width)
    return nn.LayerNorm(design.width, eps=NORM_EPSILON, bias=design.bias)


class Attention(nn.Module):
    """Self-attention; keys and values may have fewer heads than queries (Ainslie et al. 2023)."""

    def __init__(self, design: Design, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.causal = design.causal
        self.heads, self.kv_heads, self.head_size = design.heads, design.kv_heads, design.head_size
        self.dropout = design.dropout
        self.qkv = nn.Linear(design.width, (self.heads + 2 * self.kv_heads) * self.head_size, bias=design.bias)
        self.out = nn.Linear(design.width, design.width, bias=design.bias)
        self.q_norm = RMSNorm(self.head_size) if design.form.qk_norm else None
        self.k_norm = RMSNorm(self.head_size) if design.form.qk_norm else None

    def forward(self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: Cache | None, mask: Tensor | None = None) -> Tensor:
        """mask: (B, 1, 1, S), true where a position may be looked at, for attention that is not causal."""
        B, T, C = x_BTC.shape
        qkv = self.qkv(x_BTC).view(B, T, self.heads + 2 * self.kv_heads, self.head_size)
        q_BTHD, k_BTKD, v_BTKD = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=2)
        if self.q_norm is not None and self.k_norm is not None:
            q_BTHD, k_BTKD = self.q_norm(q_BTHD), self.k_norm(k_BTKD)
        q_BHTD, k_BKSD, v_BKSD = q_BTHD.transpose(1, 2), k_BTKD.transpose(1, 2), v_BTKD.transpose(1, 2)
        if rotation is not None:
            q_BHTD, k_BKSD = rotate(q_BHTD, *rotation), rotate(k_BKSD, *rotation)
        if cache is not None:
            k_BKSD, v_BKSD = cache.extend(self.layer, k_BKSD, v_BKSD)
        S = k_BKSD.shape[2]
        if self.causal:
            # `is_causal` aligns the mask to the first position; a single new position sees all, several need a mask of their own.
            mask = torch.ones(T, S, dtype=torch.bool, device=x_BTC.device).tril(S - T) if 1 < T < S else None
        y_BHTD = F.scaled_dot_product_attention(
            q_BHTD, k_BKSD, v_BKSD,
            attn_mask=mask, dropout_p=self.dropout if self.training else 0.0,
            is_causal=self.causal and T == S, enable_gqa=self.heads != self.kv_heads,
        )  # fmt: skip
        return self.out(y_BHTD.transpose(1, 2).reshape(B, T, C))  # type: ignore[no-any-return]


class Memory(NamedTuple):
    """What a decoder looks at. states: (B, S, C); mask: (B, 1, 1, S), true where there is something; None: everywhere."""

    states: Tensor
    mask: Tensor | None


class CrossAttention(nn.Module):
    """Attention to a memory, whose keys and values a cache holds once they are computed."""

    def __init__(self, design: Design, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads, self.head_size = design.heads, design.kv_heads, design.head_size
        self.dropout = design.dropout
        self.q = nn.Linear(design.width, design.width, bias=design.bias)
        self.kv = nn.Linear(design.width, 2 * self.kv_heads * self.head_size, bias=design.bias)
        self.out = nn.Linear(design.width, design.width, bias=design.bias)
        self.q_norm = RMSNorm(self.head_size) if design.form.qk_norm else None
        self.k_norm = RMSNorm(self.head_size) if design.form.qk_norm else None

    def forward(self, x_BTC: Tensor, memory: Memory, cache: Cache | None) -> Tensor:
        B, T, C = x_BTC.shape
        q_BTHD = self.q(x_BTC).view(B, T, self.heads, self.head_size)
        if self.q_norm is not None:
            q_BTHD = self.q_norm(q_BTHD)
        if cache is None:
            k_BKSD, v_BKSD = self._keys_and_values(memory.states)
        else:
            k_BKSD, v_BKSD = cache.of_memory(self.layer, lambda: self._keys_and_values(memory.states))
        y_BHTD = F.scaled_dot_product_attention(
            q_BTHD.transpose(1, 2), k_BKSD, v_BKSD,
            attn_mask=memory.mask, dropout_p=self.dropout if self.training else 0.0, enable_gqa=self.heads != self.kv_heads,
        )  # fmt: skip
        return self.out(y_BHTD.transpose(1, 2).reshape(B, T, C))  # type: ignore[no-any-return]

    def _keys_and_values(self, memory_BSC: Tensor) -> tuple[Tensor, Tensor]:
        k_BSKD, v_BSKD = self.kv(memory_BSC).view(*memory_BSC.shape[:2], 2 * self.kv_heads, self.head_size).chunk(2, dim=2)
        if self.k_norm is not None:
            k_BSKD = self.k_norm(k_BSKD)
        return k_BSKD.transpose(1, 2), v_BSKD.transpose(1, 2)


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU in its tanh form (Hendrycks & Gimpel 2016), as GPT-2 has it."""
    return F.gelu(x, approximate="tanh")


def relu2(x: Tensor) -> Tensor:
    """Squared ReLU (So et al. 2021)."""
    return F.relu(x).square()


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu, "gelu_tanh": gelu_tanh, "relu": F.relu, "relu2": relu2, "silu": F.silu,
}  # fmt: skip


class Mlp(nn.Module):
    """Two layers with an activation between them."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.up = nn.Linear(design.width, design.mlp_size, bias=design.bias)
        self.out = nn.Linear(design.mlp_size, design.width, bias=design.bias)
        self.activation = ACTIVATIONS[design.form.activation]

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.out(self.activation(self.up(x_BTC)))  # type: ignore[no-any-return]


class SwigluMlp(nn.Module):
    """A gated unit with SiLU (Shazeer 2020); gate and up projection are one matrix."""

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.gate_up = nn.Linear(design.width, 2 * design.mlp_size, bias=design.bias)
        self.out = nn.Linear(design.mlp_size, design.width, bias=design.bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        gate_BTM, up_BTM = self.gate_up(x_BTC).chunk(2, dim=-1)
        return self.out(F.silu(gate_BTM) * up_BTM)  # type: ignore[no-any-return]


def seen(lengths_B: Tensor, positions: int) -> Tensor:
    """Which positions of padded rows may be looked at, (B, 1, 1, S). Of an empty row, the first: attention to nothing is no number."""
    return (torch.arange(positions, device=lengths_B.device) < lengths_B.clamp(min=1)[:, None])[:, None, None]


def rotation_tables(positions: int, head_size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions (Su et al. 2021), (positions, D) each, halves repeated as Llama has them."""
    frequencies = ROPE_THETA ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Turn each pair (d, d + D/2) by its position's angle."""
    first, second = x_BHTD.chunk(2, dim=-1)
    return (x_BHTD * cos_TD + torch.cat((-second, first), dim=-1) * sin_TD).to(x_BHTD.dtype)


def sinusoids(positions: int, width: int) -> Tensor:
    """Sines in the even columns and cosines in the odd ones (Vaswani et al. 2017), (positions, C)."""
    frequencies = ROPE_THETA ** (-torch.arange(0, width, 2, dtype=torch.float32) / width)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :width]
