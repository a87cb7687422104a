"""What the layers of a `gpt` model are made of: a choice each, and what an architecture gives where none is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from specrun.models.design import Activation, Form, Norm
from specrun.spec.section import Section, option

FORMS: Mapping[str, Form] = {
    "gpt2": Form("layer", "learned", "gelu_tanh", qk_norm=False),
    "llama": Form("rms", "rotary", "swiglu", qk_norm=False),
}
"""What each architecture is."""


class Layers(Section):
    """What the layers are made of, each choice for itself; absent means what `architecture` gives."""

    norm: Norm | None = option(
        None, impact="weights", description="layer: LayerNorm. rms: RMSNorm. Absent means layer (gpt2) or rms (llama)."
    )
    positions: Literal["learned", "rotary"] | None = option(
        None,
        impact="weights",
        description="learned: an embedding a position. rotary: queries and keys are turned. Absent means learned (gpt2) or rotary (llama).",
    )
    activation: Activation | None = option(
        None,
        impact="weights",
        description="Of the MLP. gelu: exact. gelu_tanh: GPT-2's approximation. relu2: squared ReLU. swiglu: SiLU, gated by a second "
        "projection. Absent means gelu_tanh (gpt2) or swiglu (llama).",
    )
    qk_norm: bool | None = option(
        None, impact="weights", description="Whether queries and keys are RMS-normed, each head for itself. Absent means they are not."
    )

    def over(self, form: Form) -> Form:
        """The form with the choices that were made."""
        made = {name: value for name in Form._fields if (value := getattr(self, name)) is not None}
        return form._replace(**made)
