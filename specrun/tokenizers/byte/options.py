"""Options of the `byte` tokenizer: a token a byte of UTF-8."""

from __future__ import annotations

from typing import ClassVar, Literal

from specrun.spec.section import Part, option


class Options(Part):
    """The vocabulary is the 256 bytes; nothing is unknown and nothing is learned."""

    factory: ClassVar[str] = "specrun.tokenizers.byte.build:train"
    kind: Literal["byte"] = option(impact="weights", description="A token a byte of UTF-8.")
    end_of_text: bool = option(True, impact="weights", description="Whether <|endoftext|> follows each document (row 256).")

    @property
    def exact_vocab_size(self) -> int:
        """Tokens, which no text has a say in."""
        return 256 + self.end_of_text
