"""The layer that turns hidden states into logits, taken out of its network: a task multiplies by its weights itself, a chunk at a time.

Shapes: B rows, T tokens, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

_ALIGNED = 8
"""Columns that a bias adds: products of a width that is a multiple of this are fastest."""


class Passing(nn.Module):
    """Stands in the place of an output layer, under its weights' names, and hands on what it is given."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, hidden_BTC: Tensor) -> Tensor:
        return hidden_BTC


class OutputLayer:
    """That of a network, from which it is taken. A bias is a column of the weights, for which hidden states have a one."""

    def __init__(self, network: Any, layer: nn.Linear) -> None:
        self._network = network
        self._name = next(name for name, module in network.named_modules() if module is layer)
        constant: Tensor | None = getattr(network, "final_logits_bias", None)
        # The network adds it to what its output layer gives, and nothing else stands there: its body can be asked instead.
        self._asks_body = constant is not None
        self._adds_constant = constant is not None and bool(constant.any())
        network.set_submodule(self._name, Passing(layer))

    @property
    def weight_VC(self) -> Tensor:  # noqa: N802 - tensors carry their shape
        """Its weights; with a bias, (V, C + 8)."""
        weight_VC: Tensor = self._layer.weight
        bias_V = self._bias_V
        if bias_V is None:
            return weight_VC
        return torch.cat((weight_VC, F.pad(bias_V[:, None].to(weight_VC.dtype), (0, _ALIGNED - 1))), dim=1)

    def hidden(self, **inputs: Any) -> Tensor:
        """What it is given: (B, T, C); with a bias (B, T, C + 8). inputs: of the network."""
        network = self._network
        hidden_BTC: Tensor = network.base_model(**inputs).last_hidden_state if self._asks_body else network(**inputs).logits
        if self._bias_V is None:
            return hidden_BTC
        ones = hidden_BTC.new_ones((*hidden_BTC.shape[:-1], 1))
        return torch.cat((hidden_BTC, F.pad(ones, (0, _ALIGNED - 1))), dim=-1)

    @property
    def _layer(self) -> Any:
        return self._network.get_submodule(self._name)

    @property
    def _bias_V(self) -> Tensor | None:  # noqa: N802 - as above
        bias_V: Tensor | None = self._network.final_logits_bias.flatten() if self._adds_constant else self._layer.bias
        return bias_V
