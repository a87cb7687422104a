"""Makes the `char` tokenizer: the characters of the train split, sorted by code point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from specrun.tokenizers.char.options import Options
from specrun.tokenizers.contract import END_OF_TEXT, UNKNOWN, TokenizerRequest, UnknownCharacter

_CODE_POINTS = 0x110000
_PROGRESS_TEXTS = 5000
_MISSING = -1


def train(options: Options, request: TokenizerRequest) -> Tokenizer:
    """Gather the characters. With `unknown: token` the row after them is <unk>; with end of text, the last row is its."""
    characters: set[str] = set()
    for document in request.counted(every=_PROGRESS_TEXTS):
        characters.update(document)
    vocabulary = {character: row for row, character in enumerate(sorted(characters))}
    special = [UNKNOWN] if options.unknown == "token" else []
    vocabulary.update({token: len(vocabulary) + row for row, token in enumerate(special)})
    # Where <unk> is no row, the model refuses what it does not know; it never drops a character silently.
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    if options.end_of_text:
        special.append(END_OF_TEXT)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


class Encoder:
    """Looks every code point up in a table. The table takes 4.4 MB."""

    covers_text = True

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        self.unknown_id = unknown = tokenizer.token_to_id(UNKNOWN) if options.unknown == "token" else None
        self._row_of = np.full(_CODE_POINTS, _MISSING if unknown is None else unknown, np.int32)
        for character, row in tokenizer.get_vocab(with_added_tokens=False).items():
            if len(character) == 1:
                self._row_of[ord(character)] = row

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        return [self._encode_one(text, index) for index, text in enumerate(texts)]

    def first_token_bytes(self, first_id: int, text: str) -> int:
        return len(text[0].encode())

    def _encode_one(self, text: str, index: int) -> npt.NDArray[np.int32]:
        ids: npt.NDArray[np.int32] = self._row_of[np.frombuffer(text.encode("utf-32-le"), "<u4")]
        if ids.size and ids.min() == _MISSING:
            offset = int(ids.argmin())
            raise UnknownCharacter(text[offset], text=index, offset=offset)
        return ids
