"""Options of the `tft` model: the Temporal Fusion Transformer (Lim et al. 2021)."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.model_options import ModelOptions
from specrun.spec.section import option


class Options(ModelOptions):
    """Sizes of the network."""

    factory: ClassVar[str] = "specrun.models.tft.build:build"
    serves: ClassVar[tuple[str, ...]] = ("forecaster",)

    kind: Literal["tft"] = option(impact="weights", description="A Temporal Fusion Transformer.")
    width: int = option(32, impact="weights", description="Size of the vectors of all layers.", ge=2, le=4096)
    num_heads: int = option(4, impact="weights", description="Attention heads; width is a multiple of them.", ge=1, le=256)
    num_lstm_layers: int = option(1, impact="weights", description="Layers of each of the two LSTMs.", ge=1, le=16)
    dropout: float = option(
        0.1, impact="weights", description="Dropout rate before gates and between layers of an LSTM, 0 to 1.", ge=0, lt=1
    )
