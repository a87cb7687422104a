"""What a `gpt` model costs, in closed form: parameters, FLOPs, and what autograd keeps. Tests hold all of it against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.models.gpt.parameters import parameter_count
from specrun.models.transformer_cost import kept_floats, layer_floats, outer_floats, stack_flops
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.gpt.options import Options


def model_cost(options: Options, *, vocab_size: int, sequence_length: int) -> ModelCost:
    """vocab_size: of the tokenizer; the model's own, where it is set, comes first."""
    design, rows = options.design, options.embedding_rows(vocab_size)
    layers, outer = design.num_layers, outer_floats(design)
    kept = kept_floats(design, sequence_length=sequence_length)
    return ModelCost(
        parameters=parameter_count(options, vocab_size=vocab_size, sequence_length=sequence_length),
        flops_per_token=stack_flops(design, sequence_length=sequence_length) + 6 * rows * design.width,
        activation_bytes_per_token=4 * (layers * kept + outer),
        layer_bytes_per_token=4 * layer_floats(design),
        vocabulary_rows=rows,
        # Each block's input, and one block at a time.
        checkpointed_bytes_per_token=4 * (layers * design.width + kept + outer),
    )
