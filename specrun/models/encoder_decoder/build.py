"""A transformer that reads a source and writes a target (Vaswani et al. 2017), one vocabulary for both.

Shapes: B rows, T target positions, S source positions, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.encoder_decoder.options import Options
from specrun.models.transformer import Transformer, fused_rows, initialize
from specrun.models.transformer_cache import Cache
from specrun.models.transformer_layers import Memory, seen


def build(options: Options, *, vocab_size: int, sequence_length: int) -> EncoderDecoder:
    """The network with random weights from torch's generator. sequence_length: of either side."""
    return EncoderDecoder(options, vocab_size=vocab_size, max_positions=options.positions(sequence_length))


class EncoderDecoder(nn.Module):
    """Token ids of both sides to logits of the target. max_positions: longest sequence of either side, in tokens."""

    def __init__(self, options: Options, *, vocab_size: int, max_positions: int) -> None:
        super().__init__()
        self.max_positions = max_positions
        self.token_embedding = nn.Embedding(vocab_size, options.width)
        self.encoder = Transformer(options.encoder, max_positions=max_positions, vocab_size=None)
        self.decoder = Transformer(options.decoder, max_positions=max_positions, vocab_size=None)
        self.head = None if options.tie_embeddings else nn.Linear(options.width, vocab_size, bias=False)
        initialize(self, options.encoder)
        # More layers write into its residual stream.
        initialize(self.decoder, options.decoder)

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights of the output layer; the embedding's own where they are tied."""
        return self.token_embedding.weight if self.head is None else self.head.weight

    @property
    def undecayed(self) -> tuple[str, ...]:
        """Weights of two dimensions that optimizers do not decay all the same: the embeddings of positions."""
        sides = {"encoder": self.encoder, "decoder": self.decoder}
        return tuple(f"{name}.{weight}" for name, side in sides.items() for weight in side.undecayed)

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """Weights of several projections, one below the other, with the rows of each: for optimizers that take matrices one by one."""
        return fused_rows(self)

    def compiled_blocks(self) -> Iterable[nn.Module]:
        """The blocks of both sides, each compiled for itself."""
        return (*self.encoder.blocks, *self.decoder.blocks)

    def checkpoint_activations(self, *, enabled: bool = True) -> None:
        """Keep only each block's input for the backward pass, and compute the rest a second time there (Chen et al. 2016)."""
        self.encoder.checkpoint_activations(enabled=enabled)
        self.decoder.checkpoint_activations(enabled=enabled)

    def new_cache(self) -> Cache:
        """An empty cache for the targets of one batch of sources."""
        return self.decoder.new_cache()

    def encode(self, ids_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """Memory (B, S, C) of the source, of padding too, where it means nothing. lengths_B: tokens of each row."""
        return self.encoder.run(self.token_embedding(ids_BS), mask=seen(lengths_B, ids_BS.shape[1]))

    def decode(self, ids_BT: Tensor, memory_BSC: Tensor, lengths_B: Tensor, cache: Cache | None = None) -> Tensor:
        """Final hidden states (B, T, C) of the target. lengths_B: of the source. With a cache, ids go on from the positions it holds, and
        keys and values of the memory are those that it was given first."""
        memory = Memory(memory_BSC, seen(lengths_B, memory_BSC.shape[1]))
        return self.decoder.run(self.token_embedding(ids_BT), cache, memory=memory)

    def forward(self, source_BS: Tensor, lengths_B: Tensor, target_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of what follows each token of the target."""
        return F.linear(self.decode(target_BT, self.encode(source_BS, lengths_B), lengths_B), self.head_VC)
