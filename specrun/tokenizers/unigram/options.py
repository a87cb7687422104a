"""Options of the `unigram` tokenizer: the likeliest cut of a text into pieces, over its bytes."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """Pieces and their probabilities are learned on the train split. Over bytes, so that nothing is unknown."""

    factory: ClassVar[str] = "specrun.tokenizers.unigram.build:train"
    kind: Literal["unigram"] = option(impact="weights", description="The likeliest cut into pieces, as SentencePiece has it, over bytes.")
    vocab_size: int = option(
        8192,
        impact="weights",
        description="Tokens in the vocabulary, 256 bytes and specials counted; a small corpus may yield fewer.",
        ge=258,
        le=1_000_000,
    )
    max_piece_length: int = option(16, impact="weights", description="Bytes of the longest piece.", ge=1, le=256)
    normalization: Literal["none", "nfc", "nfkc"] = option(
        "none", impact="weights", description="Unicode form that texts are brought into first; other than none, decoding does not undo it."
    )
    lowercase: bool = option(False, impact="weights", description="Whether letters are made small first; decoding does not undo it.")
    end_of_text: bool = option(True, impact="weights", description="Whether <|endoftext|> follows each document.")
