"""The parameters of a transformer's stack by name and shape, known without building it. Tests hold them against the models."""

from __future__ import annotations

import math
from collections.abc import Iterator

from specrun.models.design import Design

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


def stack_shapes(design: Design, *, max_positions: int) -> dict[str, Shape]:
    """Every parameter of a stack, without any embedding of tokens."""
    block = dict(block_shapes(design))
    blocks = {f"blocks.{number}.{name}": shape for number in range(design.num_layers) for name, shape in block.items()}
    return dict(outer_shapes(design, max_positions=max_positions)) | blocks


def stack_count(design: Design, *, max_positions: int) -> int:
    """Numbers in all of them, without naming each."""
    block = sum(math.prod(shape) for _, shape in block_shapes(design))
    return sum(math.prod(shape) for _, shape in outer_shapes(design, max_positions=max_positions)) + design.num_layers * block


def outer_shapes(design: Design, *, max_positions: int) -> Named:
    """What of a stack is in none of its blocks."""
    if design.form.positions == "learned":
        yield "position_embedding.weight", (max_positions, design.width)
    yield from norm_shapes(design, "embedding_norm" if design.norm_after else "final_norm")


def block_shapes(design: Design) -> Named:
    """Of one block."""
    width, mlp, head_size = design.width, design.mlp_size, design.head_size
    yield from norm_shapes(design, "attention_norm")
    yield from linear_shapes("attention.qkv", (design.heads + 2 * design.kv_heads) * head_size, width, bias=design.bias)
    yield from linear_shapes("attention.out", width, width, bias=design.bias)
    yield from _qk_norms(design, "attention")
    if design.cross:
        yield from norm_shapes(design, "cross_norm")
        yield from linear_shapes("cross_attention.q", width, width, bias=design.bias)
        yield from linear_shapes("cross_attention.kv", 2 * design.kv_heads * head_size, width, bias=design.bias)
        yield from linear_shapes("cross_attention.out", width, width, bias=design.bias)
        yield from _qk_norms(design, "cross_attention")
    yield from norm_shapes(design, "mlp_norm")
    yield from linear_shapes("mlp.gate_up" if design.gated else "mlp.up", (2 if design.gated else 1) * mlp, width, bias=design.bias)
    yield from linear_shapes("mlp.out", width, mlp, bias=design.bias)


def linear_layers(design: Design) -> list[str]:
    """Names of the linear layers of the blocks."""
    block = [name.removesuffix(".weight") for name, shape in block_shapes(design) if len(shape) == 2]
    return [f"blocks.{number}.{name}" for number in range(design.num_layers) for name in block]


def linear_shapes(name: str, outputs: int, inputs: int, *, bias: bool) -> Named:
    """Of a linear layer."""
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def norm_shapes(design: Design, name: str) -> Named:
    """Of a norm over the width."""
    yield f"{name}.weight", (design.width,)
    if design.form.norm == "layer" and design.bias:
        yield f"{name}.bias", (design.width,)


def _qk_norms(design: Design, name: str) -> Named:
    if design.form.qk_norm:
        yield from ((f"{name}.{which}_norm.weight", (design.head_size,)) for which in "qk")
