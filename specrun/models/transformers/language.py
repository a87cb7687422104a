"""Networks that write, and that fill in words: hidden states, and the weights of the output layer beside them.

Shapes: B rows, T tokens, C width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.models.transformers.adapter import Adapter, most_positions, not_as_taken
from specrun.models.transformers.output_layer import OutputLayer

_TRIED = 6
"""Tokens that are computed in two ways."""
_AMPLIFIED = 2**12


class Headed(Adapter):
    """A network whose logits are a product of hidden states and a matrix."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__(network, sizes)
        layer = network.get_output_embeddings()
        if not isinstance(layer, nn.Linear):
            raise not_as_taken(self.network, "has no linear output layer")
        network.eval()
        self._expected = self._amplified_logits(layer)
        self._output = OutputLayer(network, layer)

    def library_logits(self, ids_BT: Tensor) -> Tensor:
        """As the library computes them, (B, T, V)."""
        logits_BTV: Tensor = self.network(input_ids=ids_BT).logits
        return logits_BTV

    @torch.no_grad()
    def _amplified_logits(self, layer: nn.Module) -> Tensor:
        """The library's, where the output layer gives far larger numbers than drawn weights do: what is done to these shows."""
        # What is added later is no product, and `OutputLayer` knows of it.
        factor = 1 if hasattr(self.network, "final_logits_bias") else _AMPLIFIED
        handle = layer.register_forward_hook(lambda _layer, _inputs, logits: logits * factor)
        try:
            return self.library_logits(self.few_ids(_TRIED)) / factor
        finally:
            handle.remove()

    def hidden(self, ids_BT: Tensor, _: Any = None) -> Tensor:
        """Final hidden states (B, T, C), as the output layer is given them."""
        raise NotImplementedError

    @property
    def head_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Weights of the output layer; the embedding's own where they are tied. A bias is a column."""
        return self._output.weight_VC

    @torch.no_grad()
    def check(self) -> None:
        expected, self._expected = self._expected, torch.empty(0)
        if self.differs(F.linear(self.hidden(self.few_ids(_TRIED)), self.head_VC), expected):
            raise not_as_taken(self.network, "does more to its logits than multiply hidden states by a matrix")


class Decoder(Headed):
    """A network that tells what follows each token from it and those before it."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__(network, sizes)
        self.max_positions = most_positions(network, sizes)

    def new_cache(self) -> Any:
        """The library's own, empty."""
        from transformers import DynamicCache

        return DynamicCache(config=self.network.config)

    def hidden(self, ids_BT: Tensor, cache: Any = None) -> Tensor:
        """Final hidden states (B, T, C). With a cache the ids go on from the positions it holds, and it takes them in."""
        start = 0 if cache is None else cache.get_seq_length()
        stored = unstored() if cache is None else cache
        return self._output.hidden(
            input_ids=ids_BT, past_key_values=stored, use_cache=cache is not None, **self.positions(ids_BT.shape[1], start)
        )

    @torch.no_grad()
    def check(self) -> None:
        super().check()
        ids_BT, half, cache = self.few_ids(_TRIED), _TRIED // 2, self.new_cache()
        whole = self.hidden(ids_BT)
        begun = self.hidden(ids_BT[:, :half], cache)
        if self.differs(begun, whole[:, :half]):
            raise not_as_taken(self.network, "sees what follows a token, and so does not write")
        if self.differs(torch.cat([self.hidden(ids_BT[:, place : place + 1], cache) for place in range(half, _TRIED)], 1), whole[:, half:]):
            raise not_as_taken(self.network, "keeps what it has read in a form of its own")


class WordFiller(Headed):
    """A network that tells what stands at each position."""

    def __init__(self, network: Any, sizes: Mapping[str, Any]) -> None:
        super().__init__(network, sizes)
        self.max_positions = most_positions(network, sizes)

    def hidden(self, ids_BT: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Final hidden states (B, T, C), of padding too, where they mean nothing; None: no row is padded."""
        T = ids_BT.shape[1]
        return self._output.hidden(input_ids=ids_BT, attention_mask=self.seen(lengths_B, T), **self.positions(T))

    @torch.no_grad()
    def check(self) -> None:
        super().check()
        ids_BT, half = self.few_ids(_TRIED), _TRIED // 2
        if self.differs(self.hidden(ids_BT, torch.tensor([half]))[:, :half], self.hidden(ids_BT[:, :half])):
            raise not_as_taken(self.network, "sees padding")


@cache
def unstored() -> Any:
    """A cache that holds nothing. Given one, the library does not ask the device whether rows hold several texts, as it does of each
    batch otherwise, so that the host would wait for the answer."""
    from transformers import DynamicCache

    class Unstored(DynamicCache):  # type: ignore[misc]
        def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
            return keys, values

    return Unstored()
