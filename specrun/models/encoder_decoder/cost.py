"""What an `encoder_decoder` model costs, in closed form: parameters, FLOPs, and what autograd keeps. Tests hold it against the model.

A position is one of either side, and both sides are taken to be equally long: what a position costs is the mean of the two.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specrun.models.encoder_decoder.parameters import parameter_shapes
from specrun.models.transformer_cost import kept_floats, layer_floats, outer_floats, stack_flops
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.encoder_decoder.options import Options


def model_cost(options: Options, *, vocab_size: int, sequence_length: int) -> ModelCost:
    """vocab_size: of the tokenizer; sequence_length: of either side."""
    shapes = parameter_shapes(options, vocab_size=vocab_size, sequence_length=sequence_length)
    sides = (options.encoder, options.decoder)
    kept = [kept_floats(side, sequence_length=sequence_length) for side in sides]
    outer, layers = sum(map(outer_floats, sides)), [side.num_layers for side in sides]
    flops = sum(stack_flops(side, sequence_length=sequence_length) for side in sides) + 6 * vocab_size * options.width
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        flops_per_token=flops // 2,
        activation_bytes_per_token=2 * (layers[0] * kept[0] + layers[1] * kept[1] + outer),
        layer_bytes_per_token=4 * max(map(layer_floats, sides)),
        vocabulary_rows=vocab_size,
        # Each block's input, and one block at a time.
        checkpointed_bytes_per_token=2 * (sum(layers) * options.width + max(kept) + outer),
    )
