"""Trains the `bpe` tokenizer: byte-level byte-pair encoding as in GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from specrun.events import Emit, Progress
from specrun.tokenizers.bpe.options import Options
from specrun.tokenizers.contract import END_OF_TEXT

_PROGRESS_TEXTS = 2000


def train(options: Options, documents: Iterable[str], emit: Emit) -> Tokenizer:
    """Learn merges until the vocabulary is full or no pair is frequent enough. The same documents give the same tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=[END_OF_TEXT] if options.end_of_text else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_counted(documents, emit), trainer)
    return tokenizer


def _counted(documents: Iterable[str], emit: Emit) -> Iterator[str]:
    for done, document in enumerate(documents, 1):
        yield document
        if done % _PROGRESS_TEXTS == 0:
            emit(Progress("tokenizer", done, None, "document"))


class Encoder:
    """Encodes in parallel, without the offsets that training has no use for."""

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.integer[Any]]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def first_token_bytes(self, first_id: int, text: str) -> int:
        # In a byte-level vocabulary each character of a token stands for one byte.
        token = self._tokenizer.id_to_token(first_id)
        assert token is not None
        return len(token)
