"""The parameters of a `gpt` model by name and shape, known without building it. A test holds them against the model itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specrun.models.gpt.options import Options

Shape = tuple[int, ...]


def parameter_shapes(options: Options, *, vocab_size: int, sequence_length: int) -> dict[str, Shape]:
    """Every parameter, shared ones once. vocab_size: of the tokenizer; the model's own, where it is set, comes first."""
    found = dict(_outer_shapes(options, vocab_size=vocab_size, sequence_length=sequence_length))
    block = dict(block_shapes(options))
    return found | {f"blocks.{number}.{name}": shape for number in range(options.num_layers) for name, shape in block.items()}


def parameter_count(options: Options, *, vocab_size: int, sequence_length: int) -> int:
    """Numbers in all of them, without naming each."""
    outer = _outer_shapes(options, vocab_size=vocab_size, sequence_length=sequence_length)
    block = sum(math.prod(shape) for _, shape in block_shapes(options))
    return sum(math.prod(shape) for _, shape in outer) + options.num_layers * block


def block_shapes(options: Options) -> Iterator[tuple[str, Shape]]:
    """Of one block."""
    width, mlp, head_size = options.width, options.mlp_size, options.width // options.num_heads
    yield from _norm(options, "attention_norm")
    yield from _linear("attention.qkv", (options.num_heads + 2 * options.kv_heads) * head_size, width, bias=options.uses_bias)
    yield from _linear("attention.out", width, width, bias=options.uses_bias)
    if options.form.qk_norm:
        yield from ((f"attention.{name}_norm.weight", (head_size,)) for name in "qk")
    yield from _norm(options, "mlp_norm")
    yield from _linear("mlp.gate_up" if options.gated else "mlp.up", (2 if options.gated else 1) * mlp, width, bias=options.uses_bias)
    yield from _linear("mlp.out", width, mlp, bias=options.uses_bias)


def linear_layers(options: Options) -> list[str]:
    """Names of the linear layers of the blocks."""
    block = [name.removesuffix(".weight") for name, shape in block_shapes(options) if len(shape) == 2]
    return [f"blocks.{number}.{name}" for number in range(options.num_layers) for name in block]


def _outer_shapes(options: Options, *, vocab_size: int, sequence_length: int) -> Iterator[tuple[str, Shape]]:
    rows = options.embedding_rows(vocab_size)
    yield "token_embedding.weight", (rows, options.width)
    if options.form.positions == "learned":
        yield "position_embedding.weight", (options.positions(sequence_length), options.width)
    yield from _norm(options, "final_norm")
    if not options.tie_embeddings:
        yield "head.weight", (rows, options.width)


def _linear(name: str, outputs: int, inputs: int, *, bias: bool) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def _norm(options: Options, name: str) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (options.width,)
    if options.form.norm == "layer" and options.uses_bias:
        yield f"{name}.bias", (options.width,)
