"""Options of the `char` tokenizer: a token a character."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """The vocabulary is the set of characters of the train split, sorted by code point."""

    factory: ClassVar[str] = "specrun.tokenizers.char.build:train"
    kind: Literal["char"] = option(impact="weights", description="A token a character.")
    unknown: Literal["error", "token"] = option(
        "error", impact="weights", description="A character that the train split lacks: an error, or the token <unk> (one more row)."
    )
    end_of_text: bool = option(False, impact="weights", description="Whether <|endoftext|> follows each document (one more row).")
