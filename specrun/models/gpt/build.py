"""A decoder-only transformer in the form of gpt2 (Radford et al. 2019) or llama (Touvron et al. 2023), or of choices in between.

Shapes: B sequences, T new positions, S positions attended to, C width, H query heads, K key-value heads, D size of a head,
M hidden size of the MLP, V vocabulary. The two named forms map one to one onto transformers' models: see `huggingface`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it
from torch.utils.checkpoint import checkpoint

from specrun.models.gpt.options import NORM_EPSILON, ROPE_THETA, Options

INITIAL_STD = 0.02


def build(options: Options, *, vocab_size: int, sequence_length: int) -> GPT:
    """The network with random weights from torch's generator. vocab_size: of the tokenizer."""
    return GPT(options, vocab_size=options.embedding_rows(vocab_size), max_positions=options.positions(sequence_length))


class Cache:
    """Keys and values of the positions seen so far, for generation. Grows to `max_positions` and not beyond."""

    def __init__(self, num_layers: int, max_positions: int) -> None:
        self.max_positions = max_positions
        self.length = 0
        self._stored: list[tuple[Tensor, Tensor] | None] = [None] * num_layers

    def extend(self, layer: int, keys_BKTD: Tensor, values_BKTD: Tensor) -> tuple[Tensor, Tensor]:
        """Store new positions of a layer and return all of them, (B, K, S, D) each."""
        count = keys_BKTD.shape[2]
        stored = self._stored[layer]
        if stored is None:
            shape = (*keys_BKTD.shape[:2], self.max_positions, keys_BKTD.shape[3])
            stored = self._stored[layer] = (keys_BKTD.new_empty(shape), values_BKTD.new_empty(shape))
        end = self.length + count
        stored[0][:, :, self.length : end] = keys_BKTD
        stored[1][:, :, self.length : end] = values_BKTD
        return stored[0][:, :, :end], stored[1][:, :, :end]


class RMSNorm(nn.Module):
    """Root-mean-square norm (Zhang & Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x_BTC: Tensor) -> Tensor:
        # Fused kernels want weights of the input's type.
        return F.rms_norm(x_BTC, self.weight.shape, self.weight.type_as(x_BTC), NORM_EPSILON)


class Attention(nn.Module):
    """Causal self-attention; keys and values may have fewer heads than queries (Ainslie et al. 2023)."""

    def __init__(self, options: Options, layer: int) -> None:
        super().__init__()
        bias = options.uses_bias
        self.layer = layer
        self.heads, self.kv_heads = options.num_heads, options.kv_heads
        self.head_size = options.width // options.num_heads
        self.dropout = options.dropout
        self.qkv = nn.Linear(options.width, (self.heads + 2 * self.kv_heads) * self.head_size, bias=bias)
        self.out = nn.Linear(options.width, options.width, bias=bias)
        self.q_norm = RMSNorm(self.head_size) if options.form.qk_norm else None
        self.k_norm = RMSNorm(self.head_size) if options.form.qk_norm else None

    def forward(self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: Cache | None) -> Tensor:
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
        # `is_causal` aligns the mask to the first position; a single new position sees all, several need a mask of their own.
        mask = torch.ones(T, S, dtype=torch.bool, device=x_BTC.device).tril(S - T) if 1 < T < S else None
        y_BHTD = F.scaled_dot_product_attention(
            q_BHTD, k_BKSD, v_BKSD,
            attn_mask=mask, dropout_p=self.dropout if self.training else 0.0,
            is_causal=T == S, enable_gqa=self.heads != self.kv_heads,
        )  # fmt: skip
        return self.out(y_BHTD.transpose(1, 2).reshape(B, T, C))  # type: ignore[no-any-return]


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

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.up = nn.Linear(options.width, options.mlp_size, bias=options.uses_bias)
        self.out = nn.Linear(options.mlp_size, options.width, bias=options.uses_bias)
        self.activation = ACTIVATIONS[options.form.activation]

    def forward(self, x_BTC: Tensor) -> Tensor:
        return self.out(self.activation(self.up(x_BTC)))  # type: ignore[no-any-return]


class SwigluMlp(nn.Module):
    """A gated unit with SiLU (Shazeer 2020); gate and up projection are one matrix."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.gate_up = nn.Linear(options.width, 2 * options.mlp_size, bias=options.uses_bias)
        self.out = nn.Linear(options.mlp_size, options.width, bias=options.uses_bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        gate_BTM, up_BTM = self.gate_up(x_BTC).chunk(2, dim=-1)
        return self.out(F.silu(gate_BTM) * up_BTM)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention and MLP, each on a normed copy of the residual stream."""

    def __init__(self, options: Options, layer: int) -> None:
        super().__init__()
        self.attention_norm = _norm(options)
        self.attention = Attention(options, layer)
        self.mlp_norm = _norm(options)
        self.mlp = SwigluMlp(options) if options.gated else Mlp(options)
        self.dropout = nn.Dropout(options.dropout) if options.dropout else nn.Identity()

    def forward(self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: Cache | None) -> Tensor:
        x_BTC = x_BTC + self.dropout(self.attention(self.attention_norm(x_BTC), rotation, cache))
        return x_BTC + self.dropout(self.mlp(self.mlp_norm(x_BTC)))  # type: ignore[no-any-return]


class GPT(nn.Module):
    """Token ids to logits. max_positions: longest sequence it accepts, in tokens."""

    def __init__(self, options: Options, *, vocab_size: int, max_positions: int) -> None:
        super().__init__()
        self.max_positions = max_positions
        self._checkpoints_activations = False
        self.token_embedding = nn.Embedding(vocab_size, options.width)
        self.position_embedding = nn.Embedding(max_positions, options.width) if options.form.positions == "learned" else None
        self.dropout = nn.Dropout(options.dropout) if options.dropout else nn.Identity()
        self.blocks = nn.ModuleList(Block(options, layer) for layer in range(options.num_layers))
        self.final_norm = _norm(options)
        self.head = None if options.tie_embeddings else nn.Linear(options.width, vocab_size, bias=False)
        if options.form.positions == "rotary":
            cos_SD, sin_SD = rotation_tables(max_positions, options.width // options.num_heads)
            self.register_buffer("cos_SD", cos_SD, persistent=False)
            self.register_buffer("sin_SD", sin_SD, persistent=False)
        self._initialize(options.num_layers)

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights of the output layer; the embedding's own where they are tied."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Weights of two dimensions that optimizers do not decay all the same: the embedding of positions."""
        return () if self.position_embedding is None else ("position_embedding.weight",)

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several projections, one below the other, with the rows of each: for optimizers that take matrices one by one."""
        rows: dict[str, tuple[int, ...]] = {}
        for name, module in self.named_modules():
            if isinstance(module, Attention):
                keys = module.kv_heads * module.head_size
                rows[f"{name}.qkv.weight"] = (module.heads * module.head_size, keys, keys)
            elif isinstance(module, SwigluMlp):
                rows[f"{name}.gate_up.weight"] = (module.out.in_features,) * 2
        return rows

    def new_cache(self) -> Cache:
        """An empty cache for one batch of sequences."""
        return Cache(len(self.blocks), self.max_positions)

    def checkpoint_activations(self, *, enabled: bool = True) -> None:
        """Keep only each block's input for the backward pass, and compute the rest a second time there (Chen et al. 2016)."""
        self._checkpoints_activations = enabled

    def hidden(self, ids_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Final hidden states (B, T, C). With a cache the ids go on from the positions it holds, and it takes them in."""
        start = cache.length if cache is not None else 0
        end = start + ids_BT.shape[1]
        assert end <= self.max_positions, f"{end} positions, the model has {self.max_positions}"
        x_BTC = self.token_embedding(ids_BT)
        rotation = None
        if self.position_embedding is not None:
            x_BTC = x_BTC + self.position_embedding.weight[start:end]
        else:
            cos_SD, sin_SD = self.get_buffer("cos_SD"), self.get_buffer("sin_SD")
            rotation = cos_SD[start:end], sin_SD[start:end]
        x_BTC = self.dropout(x_BTC)
        recompute = self._checkpoints_activations and self.training and torch.is_grad_enabled()
        for block in self.blocks:
            # The random state goes with each block, so that dropout draws the same masks again.
            x_BTC = checkpoint(block, x_BTC, rotation, cache, use_reentrant=False) if recompute else block(x_BTC, rotation, cache)
        if cache is not None:
            cache.length = end
        return self.final_norm(x_BTC)  # type: ignore[no-any-return]

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        return F.linear(self.hidden(ids_BT), self.head_VC)

    def _initialize(self, num_layers: int) -> None:
        """Normal weights of std 0.02; those that write into the residual stream smaller by sqrt(2 x layers), as GPT-2's."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                continue  # norms are ones, biases are set below
            residual = name.endswith((".attention.out.weight", ".mlp.out.weight"))
            nn.init.normal_(parameter, std=INITIAL_STD / math.sqrt(2 * num_layers) if residual else INITIAL_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)


def rotation_tables(positions: int, head_size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of rotary positions (Su et al. 2021), (positions, D) each, halves repeated as Llama has them."""
    frequencies = ROPE_THETA ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Turn each pair (d, d + D/2) by its position's angle."""
    first, second = x_BHTD.chunk(2, dim=-1)
    return (x_BHTD * cos_TD + torch.cat((-second, first), dim=-1) * sin_TD).to(x_BHTD.dtype)


def _norm(options: Options) -> nn.Module:
    if options.form.norm == "rms":
        return RMSNorm(options.width)
    return nn.LayerNorm(options.width, eps=NORM_EPSILON, bias=options.uses_bias)
