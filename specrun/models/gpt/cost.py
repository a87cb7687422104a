"""What a `gpt` model costs, in closed form: parameters, FLOPs, and what autograd keeps. Tests hold all of it against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specrun.models.gpt.parameters import block_shapes, parameter_count
from specrun.plan.cost import ModelCost

if TYPE_CHECKING:
    from specrun.models.gpt.options import Options


def model_cost(options: Options, *, vocab_size: int, sequence_length: int) -> ModelCost:
    """vocab_size: of the tokenizer; the model's own, where it is set, comes first."""
    width, layers = options.width, options.num_layers
    rows = options.embedding_rows(vocab_size)
    matrices = sum(shape[0] * shape[1] for _, shape in block_shapes(options) if len(shape) == 2)
    # Kaplan et al. 2020, appendix B: 6 FLOPs a token for each weight of a matrix, 12 x layers x width x length for attention.
    flops = 6 * (layers * matrices + rows * width) + 12 * layers * width * sequence_length
    layer, outer = _layer_floats(options), (3 if options.form.norm == "rms" else 2) * width
    # With dropout, attention keeps its probabilities and their mask.
    kept = layer + (7 * options.num_heads * sequence_length // 2 if options.dropout else 0)
    return ModelCost(
        parameters=parameter_count(options, vocab_size=vocab_size, sequence_length=sequence_length),
        flops_per_token=flops,
        activation_bytes_per_token=4 * (layers * kept + outer),
        layer_bytes_per_token=4 * layer,
        vocabulary_rows=rows,
        # Each block's input, and one block at a time.
        checkpointed_bytes_per_token=4 * (layers * width + kept + outer),
    )


def _layer_floats(options: Options) -> int:
    """Numbers a token that one block keeps for its backward pass."""
    form, width, mlp = options.form, options.width, options.mlp_size
    kv_width = options.kv_heads * width // options.num_heads
    # Two inputs, two normed copies, the attention's output, and queries beside keys and values.
    residual = 6 * width + 2 * kv_width
    # An RMSNorm keeps what it has normed before it scales it.
    norms = 2 * width if form.norm == "rms" else 0
    turned = (width + kv_width) * (2 if form.qk_norm else 1 if form.positions == "rotary" else 0)
    return residual + norms + turned + _MLP_COPIES.get(form.activation, 2) * mlp


_MLP_COPIES = {"relu": 1, "swiglu": 4}
"""Numbers kept for each hidden one: ReLU needs its output alone; a gate needs both projections, SiLU's output and the product."""
