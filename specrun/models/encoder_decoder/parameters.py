"""The parameters of an `encoder_decoder` model by name and shape, known without building it. A test holds them against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.models.transformer_parameters import Shape, stack_shapes

if TYPE_CHECKING:
    from specrun.models.encoder_decoder.options import Options


def parameter_shapes(options: Options, *, vocab_size: int, sequence_length: int) -> dict[str, Shape]:
    """Every parameter, shared ones once."""
    found: dict[str, Shape] = {"token_embedding.weight": (vocab_size, options.width)}
    for side, design in (("encoder", options.encoder), ("decoder", options.decoder)):
        shapes = stack_shapes(design, max_positions=options.positions(sequence_length))
        found |= {f"{side}.{name}": shape for name, shape in shapes.items()}
    return found if options.tie_embeddings else found | {"head.weight": (vocab_size, options.width)}
