"""Which sample is number n of a training, where all samples are alike: a permutation an epoch, a pure function of (seed, n).

Nothing is stored and nothing advances: the position is an integer, so resuming costs nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from specrun.training.sampler import mix, permute

_BLOCK_SAMPLES = 4096


class Order:
    """samples: at least 1. The same seed gives the same order, whatever was asked before."""

    def __init__(self, samples: int, *, seed: int) -> None:
        assert samples >= 1, "an order of nothing"
        self.samples = samples
        self._seed = np.uint64(int.from_bytes(hashlib.blake2b(b"order %d" % seed, digest_size=8).digest(), "little"))
        self._number = -1
        self._block: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def chosen(self, first: int, *, count: int) -> NDArray[np.int64]:
        """Samples first .. first + count - 1, which may cross epochs. Shape: (count,), each below `samples`."""
        found: list[NDArray[np.int64]] = []
        while count:
            number, inside = divmod(first, _BLOCK_SAMPLES)
            if number != self._number:
                self._number, self._block = number, self._compute(number * _BLOCK_SAMPLES)
            part = self._block[inside : inside + count]
            found.append(part)
            first, count = first + len(part), count - len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _compute(self, first: int) -> NDArray[np.int64]:
        positions = np.arange(first, first + _BLOCK_SAMPLES, dtype=np.uint64)
        size = np.uint64(self.samples)
        keys = mix(positions // size + self._seed)
        return permute(positions % size, size=self.samples, keys=keys).astype(np.int64)
