"""What the layers of a transformer other than `gpt` are made of, as a spec says it: a choice each."""

from __future__ import annotations

from typing import Literal

from specrun.models.design import Activation, Form, Norm, Positions
from specrun.spec.section import Section, option


class TransformerLayers(Section):
    """What the layers are made of, each choice for itself."""

    norm: Norm = option("layer", impact="weights", description="layer: LayerNorm. rms: RMSNorm.")
    norm_place: Literal["before", "after"] = option(
        "before",
        impact="weights",
        description="before: what a layer reads is normed, which trains more steadily. after: the sum that it writes into is, as in BERT.",
    )
    positions: Positions = option(
        "learned",
        impact="weights",
        description="learned: an embedding a position. rotary: queries and keys are turned. sinusoidal: fixed sines, embeddings scaled up.",
    )
    activation: Activation = option(
        "gelu",
        impact="weights",
        description="Of the MLP. gelu: exact. gelu_tanh: GPT-2's approximation. relu2: squared ReLU. swiglu: SiLU, gated by a second "
        "projection.",
    )
    qk_norm: bool = option(False, impact="weights", description="Whether queries and keys are RMS-normed, each head for itself.")

    @property
    def form(self) -> Form:
        """As the layers themselves have it."""
        return Form(self.norm, self.positions, self.activation, self.qk_norm)
