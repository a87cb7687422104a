"""What: a tokenizer with more tokens than the model's embedding has rows.

Why: a token id beyond the embedding cannot be looked up.

Example: `tokenizer: {kind: bpe, vocab_size: 8192}` with `model: {vocab_size: 4096}`. Remedy: leave the model's `vocab_size` out, or raise
it. The character tokenizer's size is known only from the data; the training step checks that one.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read

CODE = "vocabulary-exceeds-model"
_BYTES = 256


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the sizes where the spec alone tells them."""
    rows = read(spec.model, "vocab_size")
    tokenizer = spec.data.tokenizer
    tokens = read(tokenizer, "vocab_size")
    if tokenizer.kind == "byte":
        tokens = _BYTES + bool(read(tokenizer, "end_of_text"))
    if rows is not None and tokens is not None and rows < tokens:
        message = f"the tokenizer has {tokens} tokens, the model's embedding {rows} rows"
        yield Problem(("model", "vocab_size"), CODE, message, f"use {tokens} or more, or remove vocab_size")
