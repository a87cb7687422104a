"""Trains the `unigram` tokenizer (Kudo 2018): of very many pieces with probabilities the least useful are left out, until few are left."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from specrun.tokenizers.contract import END_OF_TEXT, TokenizerRequest
from specrun.tokenizers.library_encoder import LibraryEncoder
from specrun.tokenizers.unigram.options import Options

_FORMS = {"nfc": normalizers.NFC, "nfkc": normalizers.NFKC}
_DECIMALS = 6
_PENALTY = 1e-4
"""By so much the library raises the score of one byte that it did not keep over that of the one before."""


def train(options: Options, request: TokenizerRequest) -> Tokenizer:
    """Expectation-maximisation and pruning by the library. The same documents give the same tokenizer.

    The library's sums depend in their last digits on the order of a hash table, and so do the scores of bytes that it did not keep:
    scores are rounded, those bytes are given the least of all, and rows are sorted.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = [END_OF_TEXT] if options.end_of_text else []
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    steps = [*([_FORMS[options.normalization]()] if options.normalization != "none" else []),
             *([normalizers.Lowercase()] if options.lowercase else [])]  # fmt: skip
    if steps:
        tokenizer.normalizer = normalizers.Sequence(steps)
    trainer = trainers.UnigramTrainer(
        vocab_size=options.vocab_size - len(special),
        initial_alphabet=alphabet,
        max_piece_length=options.max_piece_length,
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(request.counted(), trainer)
    tokenizer.model = models.Unigram(_in_order(json.loads(tokenizer.to_str())["model"]["vocab"], len(alphabet)))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _in_order(learned: Sequence[tuple[str, float]], num_bytes: int) -> list[tuple[str, float]]:
    """Pieces with their log-probabilities, likeliest first, the same whatever the order of the library's hash tables."""
    least = min(score for _, score in learned)
    not_kept = least + _PENALTY * num_bytes
    scores = {piece: round(least if len(piece) == 1 and score <= not_kept else score, _DECIMALS) for piece, score in learned}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


class Encoder(LibraryEncoder):
    """A text is covered where it is taken as it is."""

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        super().__init__(tokenizer, covers_text=options.normalization == "none" and not options.lowercase)
