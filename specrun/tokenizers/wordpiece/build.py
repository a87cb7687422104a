"""Trains the `wordpiece` tokenizer (Schuster & Nakajima 2012; Devlin et al. 2019): a word is cut into the longest pieces there are."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from specrun.tokenizers.contract import END_OF_TEXT, TokenizerRequest
from specrun.tokenizers.library_encoder import LibraryEncoder
from specrun.tokenizers.wordpiece.options import Options

UNKNOWN_WORD = "[UNK]"
_CONTINUES = "##"


def train(options: Options, request: TokenizerRequest) -> Tokenizer:
    """Join the pairs that are most frequent until the vocabulary is full. The same documents give the same tokenizer.

    Left to itself the library numbers the characters inside words as a hash table has them, another way in each process. So they are
    gathered first, and given to it in their order.
    """
    special = [UNKNOWN_WORD, *([END_OF_TEXT] if options.end_of_text else [])]
    learning = _empty(models.WordPiece(unk_token=UNKNOWN_WORD), options)
    characters: set[str] = set()
    for document in request.documents:
        characters.update(learning.normalizer.normalize_str(document))
    alphabet = sorted(character for character in characters if not character.isspace())
    fixed = [*special, *alphabet, *(_CONTINUES + character for character in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size,
        min_frequency=options.min_frequency,
        special_tokens=fixed,
        continuing_subword_prefix=_CONTINUES,
        show_progress=False,
    )
    learning.train_from_iterator(request.counted(), trainer)
    # The characters are no special tokens: what was learned goes into a tokenizer that does not take them for such.
    tokenizer = _empty(models.WordPiece(learning.get_vocab(with_added_tokens=True), unk_token=UNKNOWN_WORD), options)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def _empty(model: models.Model, options: Options) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=options.lowercase, strip_accents=options.strip_accents)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=_CONTINUES)
    return tokenizer


class Encoder(LibraryEncoder):
    """White space is lost, and case where that is asked for."""

    def __init__(self, tokenizer: Tokenizer, options: Options) -> None:
        super().__init__(tokenizer, covers_text=False, unknown_id=tokenizer.token_to_id(UNKNOWN_WORD))
