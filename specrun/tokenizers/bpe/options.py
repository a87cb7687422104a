"""Options of the `bpe` tokenizer: byte-level byte-pair encoding, as GPT-2 has it."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """Merges are learned on the train split. Byte-level, so that nothing is unknown and decoding restores the text."""

    factory: ClassVar[str] = "specrun.tokenizers.bpe.build:train"
    kind: Literal["bpe"] = option(impact="weights", description="Byte-level byte-pair encoding.")
    vocab_size: int = option(
        8192,
        impact="weights",
        description="Tokens in the vocabulary, 256 bytes and specials counted; a small corpus may yield fewer.",
        ge=257,
        le=1_000_000,
    )
    min_frequency: int = option(2, impact="weights", description="How often a pair must occur to be merged.", ge=1, le=10**12)
    end_of_text: bool = option(True, impact="weights", description="Whether <|endoftext|> follows each document.")
