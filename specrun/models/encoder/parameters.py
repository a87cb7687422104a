"""The parameters of an `encoder` model by name and shape, known without building it. A test holds them against the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.models.transformer_parameters import Shape, linear_shapes, stack_shapes

if TYPE_CHECKING:
    from specrun.models.encoder.options import Options


def parameter_shapes(options: Options, *, vocab_size: int, sequence_length: int, num_classes: int | None) -> dict[str, Shape]:
    """Every parameter, shared ones once. num_classes: None for a model that fills in words."""
    first = num_classes is not None and options.pools_first
    found: dict[str, Shape] = {"token_embedding.weight": (vocab_size, options.width)}
    found |= stack_shapes(options.design, max_positions=options.positions(sequence_length) + first)
    return found | head_shapes(options, vocab_size=vocab_size, num_classes=num_classes)


def head_shapes(options: Options, *, vocab_size: int, num_classes: int | None) -> dict[str, Shape]:
    """Of what is put on the hidden states, and before the text."""
    if num_classes is None:
        return {} if options.ties else {"head.weight": (vocab_size, options.width)}
    return ({"class_vector": (options.width,)} if options.pools_first else {}) | dict(
        linear_shapes("classifier", num_classes, options.width, bias=True)
    )
