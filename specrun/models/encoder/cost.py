"""What an `encoder` model costs, in closed form: parameters, FLOPs, and what autograd keeps. Tests hold all of it against the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specrun.models.encoder.parameters import parameter_shapes
from specrun.models.transformer_cost import kept_floats, layer_floats, outer_floats, stack_flops
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.encoder.options import Options


def model_cost(options: Options, *, vocab_size: int, sequence_length: int, num_classes: int | None) -> ModelCost:
    """num_classes: None for a model that fills in words."""
    design = options.design
    shapes = parameter_shapes(options, vocab_size=vocab_size, sequence_length=sequence_length, num_classes=num_classes)
    kept, outer = kept_floats(design, sequence_length=sequence_length), outer_floats(design)
    # A text has one row of logits over its classes, which is nothing beside its positions.
    rows = vocab_size if num_classes is None else 0
    return ModelCost(
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        flops_per_token=stack_flops(design, sequence_length=sequence_length) + 6 * rows * design.width,
        activation_bytes_per_token=4 * (design.num_layers * kept + outer),
        layer_bytes_per_token=4 * layer_floats(design),
        vocabulary_rows=rows,
        checkpointed_bytes_per_token=4 * (design.num_layers * design.width + kept + outer),
    )
