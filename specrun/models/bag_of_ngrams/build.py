"""A text as the mean of the vectors of its tokens and of the runs of tokens in it, and a linear layer (Joulin et al. 2016).

Shapes: B texts, T tokens, N tokens and runs, C width, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.bag_of_ngrams.options import Options

_INITIAL_STD = 1e-3
"""Vectors of runs that are seen but once, if ever, stay near where they begin: they must say next to nothing there."""
_CLASSIFIER_STD = 0.1
_FACTOR = 0x9E3779B97F4A7C15 - (1 << 64)
"""Odd, so that products modulo 2^64 lose nothing: Fibonacci hashing (Knuth 1973)."""


def build(options: Options, *, vocab_size: int, sequence_length: int, num_classes: int) -> BagOfNgrams:  # noqa: ARG001 - any length
    """The network with random weights from torch's generator."""
    return BagOfNgrams(options, vocab_size=vocab_size, num_classes=num_classes)


class BagOfNgrams(nn.Module):
    """Token ids to logits. Row 0 of the embedding stands for what is not there; then come tokens, then runs."""

    def __init__(self, options: Options, *, vocab_size: int, num_classes: int) -> None:
        super().__init__()
        self._ngrams, self._buckets, self._vocab_size = options.ngrams, options.hashed_rows, vocab_size
        self._token_dropout, self._dropout = options.token_dropout, options.dropout
        self.embedding = nn.Embedding(1 + vocab_size + options.hashed_rows, options.width, padding_idx=0)
        self.classifier = nn.Linear(options.width, num_classes)
        nn.init.normal_(self.embedding.weight, std=_INITIAL_STD)
        nn.init.normal_(self.classifier.weight, std=_CLASSIFIER_STD)
        nn.init.zeros_(self.classifier.bias)
        with torch.no_grad():
            self.embedding.weight[0] = 0

    def forward(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Logits (B, K)."""
        there_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device) < lengths_B[:, None]
        if self.training and self._token_dropout:
            there_BT = there_BT & (torch.rand(ids_BT.shape, device=ids_BT.device) >= self._token_dropout)
        rows_BN = self._rows(ids_BT, there_BT)
        sums_BC = F.embedding_bag(rows_BN, self.embedding.weight, mode="sum", padding_idx=0)
        means_BC = sums_BC / (rows_BN != 0).sum(1, keepdim=True).clamp(min=1)
        return self.classifier(F.dropout(means_BC, self._dropout, self.training))  # type: ignore[no-any-return]

    def _rows(self, ids_BT: Tensor, there_BT: Tensor) -> Tensor:
        """Rows of the embedding of tokens, then of runs of two, and so on, (B, N); 0 where a token of it is not there."""
        found = [torch.where(there_BT, ids_BT + 1, 0)]
        hash_BT, whole_BT = ids_BT, there_BT
        for length in range(2, min(self._ngrams, ids_BT.shape[1]) + 1):
            hash_BT = _mixed(hash_BT[:, :-1] * _FACTOR + ids_BT[:, length - 1 :] + length)
            whole_BT = whole_BT[:, :-1] & there_BT[:, length - 1 :]
            found.append(torch.where(whole_BT, 1 + self._vocab_size + hash_BT % self._buckets, 0))
        return torch.cat(found, dim=1)


def _mixed(values: Tensor) -> Tensor:
    """Spread every bit over the word: the remainder of a product alone keeps what the ids have in common."""
    values = (values ^ (values >> 29)) * _FACTOR
    return values ^ (values >> 32)
