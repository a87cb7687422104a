"""By which keywords (sizes) models of each interface are built. What the interfaces ask of a model is in `runtime.interfaces`."""

from __future__ import annotations

from collections.abc import Mapping

SIZES: Mapping[str, tuple[str, ...]] = {
    "language_model": ("vocab_size", "sequence_length"),
    "masked_language_model": ("vocab_size", "sequence_length"),
    "seq2seq": ("vocab_size", "sequence_length"),
    "text_classifier": ("vocab_size", "sequence_length", "num_classes"),
    "image_classifier": ("channels", "height", "width", "num_classes"),
    "table": ("numbers", "categories", "edges", "outputs"),
    "forecaster": (
        "context", "horizon", "targets", "observed", "known", "static", "known_categories", "static_categories", "quantiles",
    ),
}  # fmt: skip
