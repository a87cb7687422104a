"""Options of the `wordpiece` tokenizer: words and pieces of words, as BERT has them."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """Pieces are learned on the train split. White space is not kept, and a word with a character that the train split lacks is [UNK]."""

    factory: ClassVar[str] = "specrun.tokenizers.wordpiece.build:train"
    kind: Literal["wordpiece"] = option(impact="weights", description="Words and pieces of words, as BERT has them.")
    vocab_size: int = option(
        8192,
        impact="weights",
        description="Tokens in the vocabulary, specials counted; a small corpus may yield fewer, one of many characters has more.",
        ge=16,
        le=1_000_000,
    )
    min_frequency: int = option(2, impact="weights", description="How often a pair must occur to be joined.", ge=1, le=10**12)
    lowercase: bool = option(True, impact="weights", description="Whether letters are made small.")
    strip_accents: bool = option(False, impact="weights", description="Whether accents are taken off letters.")
    end_of_text: bool = option(True, impact="weights", description="Whether <|endoftext|> follows each document.")
