"""The parameters of a `gpt` model by name and shape, known without building it. A test holds them against the model itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from specrun.models.transformer_parameters import Shape, stack_count, stack_shapes

if TYPE_CHECKING:
    from specrun.models.gpt.options import Options


def parameter_shapes(options: Options, *, vocab_size: int, sequence_length: int) -> dict[str, Shape]:
    """Every parameter, shared ones once. vocab_size: of the tokenizer; the model's own, where it is set, comes first."""
    return _vocabulary(options, vocab_size) | stack_shapes(options.design, max_positions=options.positions(sequence_length))


def parameter_count(options: Options, *, vocab_size: int, sequence_length: int) -> int:
    """Numbers in all of them, without naming each."""
    vocabulary = sum(math.prod(shape) for shape in _vocabulary(options, vocab_size).values())
    return vocabulary + stack_count(options.design, max_positions=options.positions(sequence_length))


def _vocabulary(options: Options, vocab_size: int) -> dict[str, Shape]:
    """What has a row a token."""
    rows = options.embedding_rows(vocab_size)
    names = ["token_embedding.weight"] + ([] if options.tie_embeddings else ["head.weight"])
    return dict.fromkeys(names, (rows, options.width))
