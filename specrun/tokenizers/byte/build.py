"""Makes the `byte` tokenizer: row b of the vocabulary is the byte b; nothing is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from specrun.tokenizers.byte.options import Options
from specrun.tokenizers.contract import END_OF_TEXT, TokenizerRequest


def train(options: Options, request: TokenizerRequest) -> Tokenizer:  # noqa: ARG001 - the contract of a tokenizer
    """The same tokenizer whatever the documents are."""
    vocabulary = {character: byte for byte, character in enumerate(byte_characters())}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    if options.end_of_text:
        tokenizer.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return tokenizer


def byte_characters() -> list[str]:
    """The character that stands for each byte in byte-level vocabularies: itself where it prints, else one from U+0100 on (GPT-2)."""
    printing = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printing else next(others)) for byte in range(256)]


class Encoder:
    """The bytes of the text, as they lie in memory."""

    covers_text = True
    unknown_id = None

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        pass

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        return [np.frombuffer(text.encode(), np.uint8) for text in texts]

    def first_token_bytes(self, first_id: int, text: str) -> int:
        return 1
