"""Networks that tell the class of a text, or of an image.

Shapes: B rows, T tokens, K classes; of images C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from specrun.models.transformers.adapter import Adapter, most_positions, not_as_taken
from specrun.models.transformers.configuration import sees_both_ways


class TextClassifier(Adapter):
    """Logits over the classes of each row. With trained weights a text stands between the tokens that it stood between before."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__(network, sizes)
        if getattr(network.config, "is_encoder_decoder", False):
            raise not_as_taken(self.network, "reads and writes, and a class is told from what is read alone")
        before, after = self.note["before"], self.note["after"]
        self.max_positions = most_positions(network, sizes, around=len(before) + len(after))
        self.register_buffer("before", torch.tensor(before, dtype=torch.int64), persistent=False)
        self.register_buffer("after", torch.tensor(after, dtype=torch.int64), persistent=False)
        self._pad_id = int(getattr(network.config, "pad_token_id", None) or 0)
        self._both_ways = sees_both_ways(network.config)

    def forward(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Logits (B, K)."""
        whole_BT, lengths_B = self._around(ids_BT, lengths_B)
        T = whole_BT.shape[1]
        seen = self.seen(lengths_B, T) if self._both_ways else torch.arange(T, device=ids_BT.device) < lengths_B[:, None]
        logits_BK: Tensor = self.network(input_ids=whole_BT, attention_mask=seen, **self.positions(T)).logits
        return logits_BK

    def _around(self, ids_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Each text with what stands around it, then padding; and its length so."""
        before, after = self.get_buffer("before"), self.get_buffer("after")
        B, T = ids_BT.shape
        text_BT = ids_BT.where(torch.arange(T, device=ids_BT.device) < lengths_B[:, None], self._pad_id)
        room = text_BT.new_full((B, len(after)), self._pad_id)
        whole_BT = torch.cat((before.expand(B, -1), text_BT, room), dim=1)
        ends_BA = lengths_B[:, None] + len(before) + torch.arange(len(after), device=ids_BT.device)
        return whole_BT.scatter(1, ends_BA, after.expand(B, -1)), lengths_B + len(before) + len(after)

    @torch.no_grad()
    def check(self) -> None:
        self.network.eval()
        ids_BT, half = self.few_ids(6), 3
        both = torch.cat((ids_BT, ids_BT.flip(1)))
        if self.differs(self(both, torch.tensor([half, 6]))[:1], self(ids_BT[:, :half], torch.tensor([half]))):
            raise not_as_taken(self.network, "sees padding")


class ImageClassifier(Adapter):
    """Logits over the classes of each image."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        logits_BK: Tensor = self.network(pixel_values=images_BCHW).logits
        return logits_BK

    @torch.no_grad()
    def check(self) -> None:
        self.network.eval()
        classes = self(torch.zeros(1, self.sizes["channels"], self.sizes["height"], self.sizes["width"])).shape[-1]
        if classes != self.sizes["num_classes"]:
            raise not_as_taken(self.network, f"tells {classes} classes")
