"""Trains the `bpe` tokenizer: byte-level byte-pair encoding as in GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from specrun.tokenizers.bpe.options import Options
from specrun.tokenizers.contract import END_OF_TEXT, TokenizerRequest
from specrun.tokenizers.library_encoder import LibraryEncoder


def train(options: Options, request: TokenizerRequest) -> Tokenizer:
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
    tokenizer.train_from_iterator(request.counted(), trainer)
    return tokenizer


class Encoder(LibraryEncoder):
    """Every text is covered."""

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        super().__init__(tokenizer)
