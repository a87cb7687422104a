"""Networks that read one sequence and write another.

Shapes: B rows, T target positions, S source positions, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from specrun.models.transformers.adapter import most_positions, not_as_taken
from specrun.models.transformers.language import Headed


class TargetCache:
    """Keys and values of the targets of one batch, and of what they are written from."""

    def __init__(self, config: Any) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        of_decoder = config.get_text_config(decoder=True)
        self.stored = EncoderDecoderCache(DynamicCache(config=of_decoder), DynamicCache(config=of_decoder))

    def reorder(self, rows_B: Tensor) -> None:
        """Keep, for each row, what was held for the row named."""
        self.stored.reorder_cache(rows_B)


class Translator(Headed):
    """With trained weights a source and a target begin as they did before: what a task begins a target with is taken for its start."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__(network, sizes)
        self.register_buffer("before", torch.tensor(self.note["before"], dtype=torch.int64), persistent=False)
        self.max_positions = most_positions(network, sizes, around=len(self.note["before"]))

    def new_cache(self) -> TargetCache:
        """An empty store of keys and values."""
        return TargetCache(self.network.config)

    def encode(self, ids_BS: Tensor, lengths_B: Tensor) -> Tensor:
        """Memory (B, S, C) of the source and of what stands before it."""
        before = self.get_buffer("before")
        whole_BS = torch.cat((before.expand(len(ids_BS), -1), ids_BS), dim=1)
        S = whole_BS.shape[1]
        mask = self.seen(lengths_B + len(before), S)
        memory_BSC: Tensor = self.network.get_encoder()(input_ids=whole_BS, attention_mask=mask).last_hidden_state
        return memory_BSC

    def decode(self, ids_BT: Tensor, memory_BSC: Tensor, lengths_B: Tensor, cache: TargetCache | None = None) -> Tensor:
        """Final hidden states (B, T, C) of the target. lengths_B: of the source. With a cache, ids go on from the positions it holds."""
        from transformers.modeling_outputs import BaseModelOutput

        start = 0 if cache is None else cache.stored.get_seq_length()
        ids_BT = ids_BT if start else self._begun(ids_BT)
        lengths_B = lengths_B + len(self.get_buffer("before"))
        return self._output.hidden(
            encoder_outputs=BaseModelOutput(last_hidden_state=memory_BSC),
            attention_mask=self.seen(lengths_B, memory_BSC.shape[1], queries=ids_BT.shape[1]),
            decoder_input_ids=ids_BT, decoder_attention_mask=self._written(ids_BT, start),
            past_key_values=None if cache is None else cache.stored, use_cache=cache is not None,
        )  # fmt: skip

    def _written(self, ids_BT: Tensor, start: int) -> Tensor | None:
        """What each position of a target sees of it, (B, 1, T, start + T); some networks would ask the device otherwise."""
        if not self.takes_whole_masks:
            return None
        B, T = ids_BT.shape
        return torch.ones(T, start + T, dtype=torch.bool, device=ids_BT.device).tril(start).expand(B, 1, -1, -1)

    def hidden(self, ids_BT: Tensor, _: Any = None) -> Tensor:
        """Final hidden states (B, T, C) of a target that is its own source."""
        lengths_B = torch.full((len(ids_BT),), ids_BT.shape[1], device=ids_BT.device)
        return self.decode(ids_BT, self.encode(ids_BT, lengths_B), lengths_B)

    def library_logits(self, ids_BT: Tensor) -> Tensor:
        source = torch.cat((torch.tensor(self.note["before"], dtype=torch.int64).expand(len(ids_BT), -1), ids_BT), dim=1)
        logits_BTV: Tensor = self.network(input_ids=source, decoder_input_ids=self._begun(ids_BT)).logits
        return logits_BTV

    def _begun(self, ids_BT: Tensor) -> Tensor:
        """A target with the start that its weights know."""
        start = self.note["start"]
        return ids_BT if start is None else torch.cat((torch.full_like(ids_BT[:, :1], start), ids_BT[:, 1:]), dim=1)

    @torch.no_grad()
    def check(self) -> None:
        super().check()
        ids_BT, length, cache = self.few_ids(6), torch.tensor([3]), self.new_cache()
        alone = self.decode(ids_BT, self.encode(ids_BT[:, :3], length), length)
        memory = self.encode(ids_BT, length)
        if self.differs(self.decode(ids_BT, memory, length), alone):
            raise not_as_taken(self.network, "sees padding")
        if self.differs(torch.cat([self.decode(ids_BT[:, place : place + 1], memory, length, cache) for place in range(6)], 1), alone):
            raise not_as_taken(self.network, "keeps what it has written in a form of its own")
