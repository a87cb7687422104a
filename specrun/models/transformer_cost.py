"""What a transformer's stack costs a position, in closed form: FLOPs, and what autograd keeps. Tests hold it against the models."""

from __future__ import annotations

from specrun.models.design import Design
from specrun.models.transformer_parameters import block_shapes

_MLP_COPIES = {"relu": 1, "swiglu": 4}
"""Numbers kept for each hidden one: ReLU needs its output alone; a gate needs both projections, SiLU's output and the product."""


def stack_flops(design: Design, *, sequence_length: int) -> int:
    """FLOPs a position, forward and backward: 6 for each weight of a matrix, 12 x layers x width x length for attention (Kaplan et al.
    2020, appendix B). A memory is taken to be as long as the sequence, and computed with it."""
    matrices = sum(shape[0] * shape[1] for _, shape in block_shapes(design) if len(shape) == 2)
    attentions = 2 if design.cross else 1
    return 6 * design.num_layers * matrices + 12 * attentions * design.num_layers * design.width * sequence_length


def layer_floats(design: Design) -> int:
    """Numbers a position that one block keeps for its backward pass."""
    form, width, mlp = design.form, design.width, design.mlp_size
    kv_width = design.kv_heads * design.head_size
    # Two inputs, two normed copies, the attention's output, and queries beside keys and values.
    residual = 6 * width + 2 * kv_width
    # An RMSNorm keeps what it has normed before it scales it.
    rms = width if form.norm == "rms" else 0
    turned = (width + kv_width) * (2 if form.qk_norm else 1 if form.positions == "rotary" else 0)
    kept = residual + 2 * rms + turned + _MLP_COPIES.get(form.activation, 2) * mlp
    if design.cross:
        # Its input and normed copy, queries and output; keys and values of a memory as long.
        kept += 4 * width + 2 * kv_width + rms + (2 * (width + kv_width) if form.qk_norm else 0)
    return kept


def kept_floats(design: Design, *, sequence_length: int) -> int:
    """The same with what dropout has attention keep: its probabilities and their mask."""
    attentions = 2 if design.cross else 1
    return layer_floats(design) + (7 * attentions * design.heads * sequence_length // 2 if design.dropout else 0)


def outer_floats(design: Design) -> int:
    """Numbers a position that is kept outside of the blocks."""
    return (3 if design.form.norm == "rms" else 2) * design.width
