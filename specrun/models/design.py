"""The design of a transformer: every choice that its layers are built by, whichever kind of model they are for. No torch.

What a choice is called in a spec, and what holds where none is made, is the business of each model's own options.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Norm = Literal["layer", "rms"]
Positions = Literal["learned", "rotary", "sinusoidal"]
Activation = Literal["gelu", "gelu_tanh", "relu", "relu2", "silu", "swiglu"]

NORM_EPSILON = 1e-5
"""Added to the variance in every norm."""
ROPE_THETA = 10_000.0
"""Base of the frequencies of rotary and of sinusoidal positions."""


class Form(NamedTuple):
    """What layers are made of, every choice made."""

    norm: Norm
    positions: Positions
    activation: Activation
    qk_norm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A stack of equal blocks. kv_heads: heads of keys and values, each shared by a group of queries'; mlp_size: hidden numbers.

    causal: a position sees those before it and itself, else all. cross: each block looks at a memory too, as a decoder at its source.
    norm_after: norms stand on the residual stream itself, after each layer and after the embeddings (Vaswani et al. 2017, Devlin et al.
    2018), else on what a layer reads, and at the end (Radford et al. 2019).
    """

    num_layers: int
    width: int
    heads: int
    kv_heads: int
    mlp_size: int
    form: Form
    bias: bool
    dropout: float
    causal: bool
    cross: bool = False
    norm_after: bool = False

    @property
    def head_size(self) -> int:
        return self.width // self.heads

    @property
    def gated(self) -> bool:
        """Whether the MLP has a gate."""
        return self.form.activation == "swiglu"

    @property
    def writes(self) -> int:
        """How many layers write into the residual stream."""
        return (3 if self.cross else 2) * self.num_layers


def usual_mlp_size(width: int, *, gated: bool) -> int:
    """Hidden size of an MLP: 4 x width, or 8/3 x width rounded up to 64 where a gate makes it three matrices."""
    return -(-8 * width // (3 * 64)) * 64 if gated else 4 * width
