"""What each kind of task asks of a model: the protocols behind the interface names that task options ask for and model options serve.

Shapes: B samples, T tokens, S source tokens, C width, V vocabulary, K classes; for images H height, W width; for forecasts L steps of the
context, H of the horizon, Y targets, Q numbers predicted for each.
Each says by which keywords (sizes) its models are built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


class Encoder(Protocol):
    """`masked_language_model`, built with vocab_size, sequence_length. lengths_B: tokens of each row, what follows is padding."""

    max_positions: int
    training: bool

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights that turn a hidden state into logits."""
        ...

    def hidden(self, ids_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Final hidden states (B, T, C), of padding too, where they mean nothing; None: no row is padded."""
        ...


class TextClassifier(Protocol):
    """`text_classifier`, built with vocab_size, sequence_length, num_classes."""

    def __call__(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Logits (B, K)."""
        ...


class EncoderDecoder(Protocol):
    """`seq2seq`, built with vocab_size, sequence_length (of either side): one vocabulary for both."""

    max_positions: int
    training: bool

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights that turn a hidden state into logits."""
        ...

    def encode(self, ids_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """Memory (B, S, C) of the source."""
        ...

    def decode(self, ids_BT: Tensor, memory_BSC: Tensor, lengths_B: Tensor, cache: Any = None) -> Tensor:
        """Final hidden states (B, T, C) of the target. lengths_B: of the source. With a cache, ids go on from the positions it holds."""
        ...

    def new_cache(self) -> Any:
        """An empty store of keys and values. Its `reorder(rows_B)` keeps, for each row, what was held for the row named."""
        ...


class ImageClassifier(Protocol):
    """`image_classifier`, built with channels, height, width, num_classes."""

    def __call__(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K) of normalised images, float."""
        ...


class TableModel(Protocol):
    """`table`, built with numbers (how many), categories (cardinality of each, row 0 for what training has not seen), edges (of each
    number its quantiles in training, ascending) and outputs (how many)."""

    def __call__(self, numbers_BN: Tensor, categories_BG: Tensor) -> Tensor:
        """Outputs (B, O): logits, or scaled values."""
        ...


@dataclass(frozen=True, slots=True)
class ForecastInputs:
    """What a forecast may know. past_BLX: scaled targets, then scaled observed numbers; known_BTN: known numbers of context and horizon,
    T = L + H; known_categories_BTG: int64; static_BN, static_categories_BG: of the series. Where there is none of a kind, its last
    dimension is 0."""

    past: Tensor
    known: Tensor
    known_categories: Tensor
    static: Tensor
    static_categories: Tensor


class Forecaster(Protocol):
    """`forecaster`, built with context, horizon, targets, observed, known, static (how many numbers), known_categories,
    static_categories (cardinality of each), quantiles (how many numbers are predicted for each target and step)."""

    def __call__(self, inputs: ForecastInputs) -> Tensor:
        """Predictions (B, H, Y, Q) on the scale of the inputs; quantiles ascending."""
        ...


class Interpretable(Protocol):
    """A forecaster that can say what it looked at."""

    def interpret(self, inputs: ForecastInputs) -> Mapping[str, Tensor]:
        """Sums over the batch: `attention` (H, L + H), how much each step of the horizon attends to each position, mean over heads;
        `past_variables` (targets, observed, known, known categories in their order), `future_variables` (known, known categories) and
        `static_variables` (static, static categories), mean weight of each over time; what it has not is absent."""
        ...
