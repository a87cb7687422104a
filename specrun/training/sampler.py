"""Which window of the token stream is sample number n, as a pure function of (seed, n).

Each epoch visits every window once, in a permutation of its own and from a start offset of its own. Nothing is stored
and nothing advances: the position is an integer, so resuming costs nothing.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from specrun.errors import DataError
from specrun.plan.resolve import samples_per_epoch

U64 = NDArray[np.uint64]
_ROUNDS = 6
_BLOCK_SAMPLES = 4096


class WindowSampler:
    """Windows of sequence_length + 1 tokens; neighbours share one token, so that each token is predicted once an epoch.

    count: tokens in the stream. Raises: DataError where the stream is shorter than one window.
    """

    def __init__(self, count: int, *, sequence_length: int, seed: int) -> None:
        self.samples_per_epoch = samples_per_epoch(count, sequence_length)
        if self.samples_per_epoch == 0:
            raise DataError(
                f"the train split has {count} tokens; a sequence of data.sequence_length {sequence_length} needs {sequence_length + 1}",
                code="corpus-shorter-than-sequence",
                hint=f"use data.sequence_length {max(1, count - 1)} or less, or more text" if count > 2 else "use more text",
            )
        self._length = sequence_length
        self._offsets = min(sequence_length, count - self.samples_per_epoch * sequence_length)
        self._seed = np.uint64(int.from_bytes(hashlib.blake2b(b"sampler %d" % seed, digest_size=8).digest(), "little"))
        self._block_number = -1
        self._block: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def starts(self, first: int, *, count: int) -> NDArray[np.int64]:
        """First token of each window of samples first .. first + count - 1, which may cross epochs. Shape: (count,)."""
        found: list[NDArray[np.int64]] = []
        while count:
            number, inside = divmod(first, _BLOCK_SAMPLES)
            if number != self._block_number:
                self._block_number, self._block = number, self._compute(number * _BLOCK_SAMPLES, _BLOCK_SAMPLES)
            part = self._block[inside : inside + count]
            found.append(part)
            first, count = first + len(part), count - len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _compute(self, first: int, count: int) -> NDArray[np.int64]:
        positions = np.arange(first, first + count, dtype=np.uint64)
        size = np.uint64(self.samples_per_epoch)
        keys = mix(positions // size + self._seed)
        windows = permute(positions % size, size=self.samples_per_epoch, keys=keys)
        offsets = mix(keys) % np.uint64(self._offsets)
        return (offsets + windows * np.uint64(self._length)).astype(np.int64)


def permute(values: U64, *, size: int, keys: U64) -> U64:
    """Where a permutation of range(size) sends each value; keys: which permutation, per value.

    A balanced Feistel network over the next power of four, walked along its cycle until the value is below `size`
    (Black & Rogaway 2002, "Ciphers with arbitrary finite domains").
    """
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    result = _feistel(values, keys, half_bits)
    while (outside := result >= np.uint64(size)).any():
        result[outside] = _feistel(result[outside], keys[outside], half_bits)
    return result


def _feistel(values: U64, keys: U64, half_bits: int) -> U64:
    mask, shift = np.uint64((1 << half_bits) - 1), np.uint64(half_bits)
    left, right = values >> shift, values & mask
    for number in range(_ROUNDS):
        left, right = right, left ^ (mix(right ^ mix(keys + np.uint64(number + 1))) & mask)
    return (left << shift) | right


def mix(values: U64) -> U64:
    """The finalizer of splitmix64 (Steele, Lea & Flood 2014): a bijection of 64-bit words that spreads every bit."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
