"""The token stream as samples: windows of it, in training at random offsets, in an evaluation one after the other.

Shapes: B sequences, T tokens each, N tokens, C width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.sampler import WindowSampler
from specrun.training.token_file import open_tokens


@dataclass(frozen=True, slots=True)
class Predicted:
    """What an evaluation of a split predicts. tokens: how many; bytes, words: of their text."""

    tokens: int
    bytes: float
    words: float


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Windows of T + 1 ids each, (B, T + 1), on the device. weight: predicted tokens, B x T."""

    ids: Tensor

    @property
    def weight(self) -> int:
        return self.ids.shape[0] * (self.ids.shape[1] - 1)

    @property
    def positions(self) -> int:
        return self.weight

    @property
    def inputs(self) -> Tensor:
        return self.ids[:, :-1]

    def predictions(self, hidden_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states (N, C), labels (N,)) of what is predicted."""
        return hidden_BTC.flatten(0, 1), self.ids[:, 1:].flatten()

    def share(self, rank: int, *, size: int) -> TokenBatch:
        """What one of `size` workers has of the windows."""
        each = len(self.ids) // size
        return TokenBatch(self.ids[rank * each : (rank + 1) * each])

    def split(self, size: int) -> Iterator[TokenBatch]:
        """The same windows in parts of at most `size`, in order."""
        if size >= len(self.ids):
            yield self
        else:
            yield from (TokenBatch(self.ids[start : start + size]) for start in range(0, len(self.ids), size))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Windows that follow one another in the stream. inputs, labels: (B, T), on the device."""

    inputs: Tensor
    labels: Tensor

    def predictions(self, hidden_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states (N, C), labels (N,)) of what is predicted."""
        return hidden_BTC.flatten(0, 1), self.labels.flatten()


class Windows:
    """Reads a folder of tokens as windows. sample_tokens: all of one length."""

    sample_tokens: float | None = None

    def __init__(self, folder: Path, *, sequence_length: int, seed: int, device: Device) -> None:
        train = open_tokens(folder, "train")
        self._folder, self._length, self._device = folder, sequence_length, device
        # A plain array over the map: numpy's memmap class costs microseconds in each operation.
        self._ids = np.asarray(train.ids)
        self._sampler = WindowSampler(train.info.count, sequence_length=sequence_length, seed=seed)
        self._window = np.arange(sequence_length + 1)
        self.samples_per_epoch = self._sampler.samples_per_epoch

    def train_batch(self, first: int, *, count: int) -> TokenBatch:
        """Windows first .. first + count - 1 in the order of the seed."""
        index = self._sampler.starts(first, count=count)[:, None] + self._window
        return TokenBatch(self._device.transfer(self._ids[index].astype(np.int64)))

    def predicted(self, split: str, *, max_samples: int | None) -> Predicted:
        """What is predicted of a split, or of its first windows; bytes and words are then the split's, by the share of its tokens."""
        info = open_tokens(self._folder, split).info
        count = max(0, info.count - 1)
        tokens = count if max_samples is None else min(count, max_samples * self._length)
        share = tokens / count if count else 0.0
        return Predicted(tokens, info.predicted_bytes * share, info.predicted_words * share)

    def evaluation_batches(self, split: str, tokens: int, workers: Workers, *, at_once: int) -> Iterator[tuple[Stretch, bool]]:
        """A worker's share of the first tokens of a split, and whether they count: whole windows many at a time, then the one shorter
        window that is left. at_once: tokens."""
        ids, length = np.asarray(open_tokens(self._folder, split).ids), self._length
        step = max(1, at_once // length) * length
        whole = tokens // length * length
        stretches = [(s, min(s + step, whole), length) for s in range(0, whole, step)]
        if tokens > whole:
            stretches.append((whole, tokens, tokens - whole))
        transfer = self._device.transfer
        for (start, end, width), counts in workers.share(stretches):
            stretch = ids[start : end + 1].astype(np.int64)
            yield Stretch(transfer(stretch[:-1].reshape(-1, width)), transfer(stretch[1:].reshape(-1, width))), counts
