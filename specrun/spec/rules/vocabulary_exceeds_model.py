"""What: a tokenizer with more tokens than the model's embedding has rows.

Why: a token id beyond the embedding cannot be looked up.

Example: `tokenizer: {kind: bpe, vocab_size: 8192}` with `model: {vocab_size: 4096}`. Remedy: leave the model's `vocab_size` out, or raise
it. Where only the data or a file tells a tokenizer's size, the training step checks it before its first step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import read

CODE = "vocabulary-exceeds-model"


def check(spec: Spec) -> Iterator[Problem]:
    """Compare the sizes where the spec alone tells them."""
    rows = read(spec.model, "vocab_size")
    tokenizer: Any = spec.data.tokenizer
    if rows is None or "tokenizer" not in spec.task.data_settings:
        return
    tokens = read(tokenizer, "vocab_size")
    if tokens is None and (exact := getattr(tokenizer, "exact_vocab_size", None)) is not None:
        tokens = exact + sum(role != "end" or not read(tokenizer, "end_of_text") for role in spec.task.special_tokens)
    if tokens is not None and rows < tokens:
        message = f"the tokenizer has {tokens} tokens, the model's embedding {rows} rows"
        yield Problem(("model", "vocab_size"), CODE, message, f"use {tokens} or more, or remove vocab_size")
