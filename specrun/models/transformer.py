"""One transformer for every kind of model that is one: decoder, encoder, and the two sides of an encoder-decoder, by a `Design`.

Owns the way from tokens, or from what is embedded already, to final hidden states; heads are the models' own.
Shapes: B sequences, T new positions, S positions attended to, C width, V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from specrun.models.design import Design
from specrun.models.transformer_cache import Cache
from specrun.models.transformer_layers import (
    Attention,
    CrossAttention,
    Memory,
    Mlp,
    SwigluMlp,
    make_norm,
    rotation_tables,
    sinusoids,
)

INITIAL_STD = 0.02


class Block(nn.Module):
    """Attention, attention to a memory where there is one, and MLP, each added to the residual stream, which is normed before or after."""

    def __init__(self, design: Design, layer: int) -> None:
        super().__init__()
        self.norm_after = design.norm_after
        self.attention_norm = make_norm(design)
        self.attention = Attention(design, layer)
        self.cross_norm = make_norm(design) if design.cross else None
        self.cross_attention = CrossAttention(design, layer) if design.cross else None
        self.mlp_norm = make_norm(design)
        self.mlp = SwigluMlp(design) if design.gated else Mlp(design)
        self.dropout = nn.Dropout(design.dropout) if design.dropout else nn.Identity()

    def forward(
        self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: Cache | None,
        mask: Tensor | None = None, memory: Memory | None = None,
    ) -> Tensor:  # fmt: skip
        if self.norm_after:
            return self._norm_after(x_BTC, rotation, cache, mask, memory)
        x_BTC = x_BTC + self.dropout(self.attention(self.attention_norm(x_BTC), rotation, cache, mask))
        if self.cross_attention is not None and self.cross_norm is not None:
            x_BTC = x_BTC + self.dropout(self.cross_attention(self.cross_norm(x_BTC), memory, cache))
        return x_BTC + self.dropout(self.mlp(self.mlp_norm(x_BTC)))  # type: ignore[no-any-return]

    def _norm_after(
        self, x_BTC: Tensor, rotation: tuple[Tensor, Tensor] | None, cache: Cache | None, mask: Tensor | None, memory: Memory | None
    ) -> Tensor:
        x_BTC = self.attention_norm(x_BTC + self.dropout(self.attention(x_BTC, rotation, cache, mask)))
        if self.cross_attention is not None and self.cross_norm is not None:
            x_BTC = self.cross_norm(x_BTC + self.dropout(self.cross_attention(x_BTC, memory, cache)))
        return self.mlp_norm(x_BTC + self.dropout(self.mlp(x_BTC)))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """A stack of blocks with its positions. max_positions: longest sequence it accepts, in tokens. vocab_size: rows of the embedding;
    None: it takes what is embedded already."""

    token_embedding: nn.Embedding | None

    def __init__(self, design: Design, *, max_positions: int, vocab_size: int | None) -> None:
        super().__init__()
        self.max_positions = max_positions
        self._checkpoints_activations = False
        self._embedding_scale = math.sqrt(design.width) if design.form.positions == "sinusoidal" else None
        self.token_embedding = None if vocab_size is None else nn.Embedding(vocab_size, design.width)
        self.position_embedding = nn.Embedding(max_positions, design.width) if design.form.positions == "learned" else None
        self.embedding_norm = make_norm(design) if design.norm_after else None
        self.dropout = nn.Dropout(design.dropout) if design.dropout else nn.Identity()
        self.blocks = nn.ModuleList(Block(design, layer) for layer in range(design.num_layers))
        self.final_norm = None if design.norm_after else make_norm(design)
        if design.form.positions == "sinusoidal":
            self.register_buffer("positions_SC", sinusoids(max_positions, design.width), persistent=False)
        elif design.form.positions == "rotary":
            cos_SD, sin_SD = rotation_tables(max_positions, design.head_size)
            self.register_buffer("cos_SD", cos_SD, persistent=False)
            self.register_buffer("sin_SD", sin_SD, persistent=False)

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Weights of two dimensions that optimizers do not decay all the same: the embedding of positions."""
        return () if self.position_embedding is None else ("position_embedding.weight",)

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several projections, one below the other, with the rows of each: for optimizers that take matrices one by one."""
        return fused_rows(self)

    def new_cache(self) -> Cache:
        """An empty cache for one batch of sequences."""
        return Cache(len(self.blocks), self.max_positions)

    def checkpoint_activations(self, *, enabled: bool = True) -> None:
        """Keep only each block's input for the backward pass, and compute the rest a second time there (Chen et al. 2016)."""
        self._checkpoints_activations = enabled

    def run(self, x_BTC: Tensor, cache: Cache | None = None, *, mask: Tensor | None = None, memory: Memory | None = None) -> Tensor:
        """Final hidden states (B, T, C) of embedded tokens. With a cache they go on from the positions it holds, and it takes them in.
        mask: (B, 1, 1, S), true where a position may be looked at; memory: what each block of a decoder looks at too."""
        start = cache.length if cache is not None else 0
        end = start + x_BTC.shape[1]
        assert end <= self.max_positions, f"{end} positions, the model has {self.max_positions}"
        rotation = None
        if self.position_embedding is not None:
            x_BTC = x_BTC + self.position_embedding.weight[start:end]
        elif self._embedding_scale is not None:
            x_BTC = x_BTC * self._embedding_scale + self.get_buffer("positions_SC")[start:end]
        else:
            cos_SD, sin_SD = self.get_buffer("cos_SD"), self.get_buffer("sin_SD")
            rotation = cos_SD[start:end], sin_SD[start:end]
        if self.embedding_norm is not None:
            x_BTC = self.embedding_norm(x_BTC)
        x_BTC = self.dropout(x_BTC)
        recompute = self._checkpoints_activations and self.training and torch.is_grad_enabled()
        for block in self.blocks:
            # The random state goes with each block, so that dropout draws the same masks again.
            given = (x_BTC, rotation, cache, mask, memory)
            x_BTC = checkpoint(block, *given, use_reentrant=False) if recompute else block(*given)
        if cache is not None:
            cache.length = end
        return x_BTC if self.final_norm is None else self.final_norm(x_BTC)


def initialize(module: nn.Module, design: Design) -> None:
    """Normal weights of std 0.02; those that write into the residual stream smaller by the root of how many do, as GPT-2's. Embeddings of
    tokens that are scaled up to meet sinusoidal positions have std 1 / sqrt(C) (Vaswani et al. 2017)."""
    scaled_up = design.form.positions == "sinusoidal"
    for name, parameter in module.named_parameters():
        if parameter.dim() == 1:
            continue  # norms are ones, biases are set below
        residual = name.endswith(("attention.out.weight", "mlp.out.weight"))
        std = INITIAL_STD / math.sqrt(design.writes) if residual else INITIAL_STD
        if scaled_up and name.endswith("token_embedding.weight"):
            std = 1 / math.sqrt(design.width)
        nn.init.normal_(parameter, std=std)
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def fused_rows(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Weights of several projections within a module, one below the other, with the rows of each."""
    rows: dict[str, tuple[int, ...]] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, Attention):
            keys = layer.kv_heads * layer.head_size
            rows[f"{name}.qkv.weight"] = (layer.heads * layer.head_size, keys, keys)
        elif isinstance(layer, CrossAttention):
            rows[f"{name}.kv.weight"] = (layer.kv_heads * layer.head_size,) * 2
        elif isinstance(layer, SwigluMlp):
            rows[f"{name}.gate_up.weight"] = (layer.out.in_features,) * 2
    return rows
