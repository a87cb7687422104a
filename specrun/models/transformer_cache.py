"""Keys and values that a transformer has seen, for generation.

Shapes: B rows, K key-value heads, T new positions, S all positions so far, D size of a head.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Pair = tuple[Tensor, Tensor]


class Cache:
    """Of one batch of rows. Grows to `max_positions` and not beyond. length: positions that it holds."""

    def __init__(self, num_layers: int, max_positions: int) -> None:
        self.max_positions = max_positions
        self.length = 0
        self._stored: list[Pair | None] = [None] * num_layers
        self._memory: list[Pair | None] = [None] * num_layers

    def extend(self, layer: int, keys_BKTD: Tensor, values_BKTD: Tensor) -> Pair:
        """Store new positions of a layer and return all of them, (B, K, S, D) each."""
        count = keys_BKTD.shape[2]
        stored = self._stored[layer]
        if stored is None:
            shape = (*keys_BKTD.shape[:2], self.max_positions, keys_BKTD.shape[3])
            stored = self._stored[layer] = (keys_BKTD.new_empty(shape), values_BKTD.new_empty(shape))
        end = self.length + count
        stored[0][:, :, self.length : end] = keys_BKTD
        stored[1][:, :, self.length : end] = values_BKTD
        return stored[0][:, :, :end], stored[1][:, :, :end]

    def of_memory(self, layer: int, compute: Callable[[], Pair]) -> Pair:
        """Keys and values of what a decoder looks at, computed once."""
        found = self._memory[layer]
        if found is None:
            found = self._memory[layer] = compute()
        return found

    def reorder(self, rows_B: Tensor) -> None:
        """Keep, for each row, what was held for the row named: beams that go on from others, or fewer rows than before."""
        for layer, stored in enumerate(self._stored):
            if stored is not None:
                self._stored[layer] = self._chosen(stored[0], rows_B), self._chosen(stored[1], rows_B)
        for layer, memory in enumerate(self._memory):
            if memory is not None:
                self._memory[layer] = memory[0].index_select(0, rows_B), memory[1].index_select(0, rows_B)

    def _chosen(self, stored: Tensor, rows_B: Tensor) -> Tensor:
        """Rows of what is stored, copied only as far as there are positions."""
        found = stored.new_empty((len(rows_B), *stored.shape[1:]))
        found[:, :, : self.length] = stored[:, :, : self.length].index_select(0, rows_B)
        return found
