"""Random numbers of the dropouts of one forward pass.

On a processor torch draws a Bernoulli number for each element in some 5 ns, which is a fifth of a plain network's step. 16 random bits for
each, compared with a threshold, take a twentieth of that: from a generator that is seeded from torch's own, so that the same state of that
gives the same masks. Each element is dropped or kept by itself; only the rate is rounded, to a multiple of 1/65,536.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

_LEVELS = 65_536
"""Values of 16 bits."""
_SEED_WORDS = 4


class Noise:
    """The dropouts of one forward pass in training. rate: above 0, below 1; the share of elements that is dropped."""

    def __init__(self, rate: float) -> None:
        dropped = min(max(round(rate * _LEVELS), 1), _LEVELS - 1)
        self.rate = dropped / _LEVELS
        self.scale = 1 / (1 - self.rate)
        self._threshold = dropped - _LEVELS // 2

    @cached_property
    def _generator(self) -> np.random.Generator:
        # SFC64 passes PractRand and BigCrush, and fills memory faster than numpy's others.
        return np.random.Generator(np.random.SFC64(torch.randint(2**31 - 1, (_SEED_WORDS,)).numpy()))

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        """16 random bits for each element, of which `mask` is made: half of the mask's memory, to be kept for the backward pass."""
        count = int(np.prod(shape))
        words: Any = self._generator.integers(0, 2**64 - 1, size=-(-count // 4), dtype=np.uint64, endpoint=True)
        return torch.from_numpy(words.view(np.int16)[:count]).view(shape)

    def mask(self, drawn: Tensor, *, out: Tensor | None = None) -> Tensor:
        """1 where an element is kept, 0 where it is dropped, float32. What is kept has yet to be multiplied by `scale`. out: memory for
        it."""
        return torch.ge(drawn, self._threshold, out=torch.empty(drawn.shape) if out is None else out)

    def dropout(self, x: Tensor) -> Tensor:
        """The same by torch's own means, for any device."""
        return F.dropout(x, self.rate)
