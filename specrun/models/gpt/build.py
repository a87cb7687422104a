"""A decoder-only transformer in the form of gpt2 (Radford et al. 2019) or llama (Touvron et al. 2023), or of choices in between.

Shapes: B sequences, T new positions, C width, V vocabulary. The two named forms map one to one onto transformers' models: see
`huggingface`.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.gpt.options import Options
from specrun.models.transformer import Transformer, initialize
from specrun.models.transformer_cache import Cache


def build(options: Options, *, vocab_size: int, sequence_length: int) -> GPT:
    """The network with random weights from torch's generator. vocab_size: of the tokenizer."""
    return GPT(options, vocab_size=options.embedding_rows(vocab_size), max_positions=options.positions(sequence_length))


class GPT(Transformer):
    """Token ids to logits. max_positions: longest sequence it accepts, in tokens."""

    token_embedding: nn.Embedding

    def __init__(self, options: Options, *, vocab_size: int, max_positions: int) -> None:
        design = options.design
        super().__init__(design, max_positions=max_positions, vocab_size=vocab_size)
        self.head = None if options.tie_embeddings else nn.Linear(design.width, vocab_size, bias=False)
        initialize(self, design)

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights of the output layer; the embedding's own where they are tied."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    def hidden(self, ids_BT: Tensor, cache: Cache | None = None) -> Tensor:
        """Final hidden states (B, T, C). With a cache the ids go on from the positions it holds, and it takes them in."""
        return self.run(self.token_embedding(ids_BT), cache)

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Logits (B, T, V)."""
        return F.linear(self.hidden(ids_BT), self.head_VC)
