"""A bidirectional transformer (Devlin et al. 2018, without its second segment): it fills in words, or tells the class of a text.

Shapes: B rows, T tokens, S positions attended to, C width, V vocabulary, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.encoder.options import Options
from specrun.models.transformer import INITIAL_STD, Transformer, initialize
from specrun.models.transformer_layers import seen


def build(options: Options, *, vocab_size: int, sequence_length: int, num_classes: int | None = None) -> Encoder:
    """The network with random weights from torch's generator. num_classes: None for one that fills in words."""
    if num_classes is None:
        return WordFiller(options, vocab_size=vocab_size, max_positions=options.positions(sequence_length))
    return Classifier(options, vocab_size=vocab_size, max_positions=options.positions(sequence_length), num_classes=num_classes)


class Encoder(Transformer):
    """Token ids to hidden states. max_positions: longest row it accepts, in tokens."""

    token_embedding: nn.Embedding

    def hidden(self, ids_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Final hidden states (B, T, C), of padding too, where they mean nothing; None: no row is padded."""
        mask = None if lengths_B is None else seen(lengths_B, ids_BT.shape[1])
        return self.run(self.token_embedding(ids_BT), mask=mask)


class WordFiller(Encoder):
    """Logits over the vocabulary at each position."""

    def __init__(self, options: Options, *, vocab_size: int, max_positions: int) -> None:
        super().__init__(options.design, max_positions=max_positions, vocab_size=vocab_size)
        self.head = None if options.ties else nn.Linear(options.width, vocab_size, bias=False)
        initialize(self, options.design)

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights of the output layer; the embedding's own where they are tied."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    def forward(self, ids_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Logits (B, T, V)."""
        return F.linear(self.hidden(ids_BT, lengths_B), self.head_VC)


class Classifier(Encoder):
    """Logits over the classes of each row, from the mean of its positions, or from a learned vector that is put before them."""

    def __init__(self, options: Options, *, vocab_size: int, max_positions: int, num_classes: int) -> None:
        super().__init__(options.design, max_positions=max_positions + options.pools_first, vocab_size=vocab_size)
        self.class_vector = nn.Parameter(torch.zeros(options.width)) if options.pools_first else None
        self.classifier = nn.Linear(options.width, num_classes)
        initialize(self, options.design)
        if self.class_vector is not None:
            nn.init.normal_(self.class_vector, std=INITIAL_STD)

    def forward(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Logits (B, K)."""
        if self.class_vector is None:
            kept_BT1 = (torch.arange(ids_BT.shape[1], device=ids_BT.device) < lengths_B[:, None]).unsqueeze(-1)
            # Where padding has grown to what is no number, a product with nought would carry it over.
            sums_BC = self.hidden(ids_BT, lengths_B).where(kept_BT1, 0.0).sum(1)
            pooled_BC = sums_BC / lengths_B.clamp(min=1).unsqueeze(-1)
        else:
            first_B1C = self.class_vector.expand(len(ids_BT), 1, -1)
            x_BTC = torch.cat((first_B1C, self.token_embedding(ids_BT)), dim=1)
            pooled_BC = self.run(x_BTC, mask=seen(lengths_B + 1, x_BTC.shape[1]))[:, 0]
        return self.classifier(self.dropout(pooled_BC))  # type: ignore[no-any-return]
