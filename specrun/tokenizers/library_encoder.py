"""Encodes by the `tokenizers` library: in parallel, without the offsets that training has no use for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class LibraryEncoder:
    """The ids that `Tokenizer.encode` gives, without what its post-processor puts around them. See `contract.Encoder`."""

    def __init__(self, tokenizer: Tokenizer, *, covers_text: bool = True, unknown_id: int | None = None) -> None:
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.covers_text = covers_text
        self.unknown_id = unknown_id

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def first_token_bytes(self, first_id: int, text: str) -> int:
        assert self.covers_text, "white space or case is lost: its tokens have no size in bytes"
        # In a byte-level vocabulary each character of a token stands for one byte.
        token = self._tokenizer.id_to_token(first_id)
        assert token is not None
        return len(token)
