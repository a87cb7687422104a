"""The token stream as windows to hide tokens in: in training at random offsets, in an evaluation one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.masking import Masked, Masking, keys
from specrun.training.sampler import WindowSampler
from specrun.training.token_file import open_tokens

Ids = npt.NDArray[np.int64]
_ALL = 1 << 40
_EVALUATION_SEED = 0
"""Evaluations hide the same tokens whatever the seed of a run, so that runs can be compared."""


@dataclass(frozen=True, slots=True)
class MaskedBatch:
    """Windows of T ids each, (B, T), with a key each, (B,), on the device. predicted: tokens of each window that are."""

    ids: Tensor
    keys: Tensor
    predicted: int

    @property
    def weight(self) -> int:
        return len(self.ids) * self.predicted

    @property
    def positions(self) -> int:
        return self.ids.numel()

    def hidden_by(self, masking: Masking) -> Masked:
        """The windows with tokens hidden."""
        return masking.hide(self.ids, self.keys, predicted=self.predicted)

    def share(self, rank: int, *, size: int) -> MaskedBatch:
        """What one of `size` workers has of the windows."""
        each = len(self.ids) // size
        return self._part(rank * each, (rank + 1) * each)

    def split(self, size: int) -> Iterator[MaskedBatch]:
        """The same windows in parts of at most `size`, in order."""
        yield from (self._part(start, start + size) for start in range(0, len(self.ids), size))

    def _part(self, start: int, stop: int) -> MaskedBatch:
        return MaskedBatch(self.ids[start:stop], self.keys[start:stop], self.predicted)


class MaskedWindows:
    """Reads a folder of tokens as windows. predicted: how many tokens of one of a length are."""

    def __init__(self, folder: Path, *, predicted: Callable[[int], int], sequence_length: int, seed: int, device: Device) -> None:
        train = open_tokens(folder, "train")
        self._folder, self._length, self._seed, self._device = folder, sequence_length, seed, device
        self._predicted = predicted
        # A plain array over the map: numpy's memmap class costs microseconds in each operation.
        self._ids = np.asarray(train.ids)
        self._sampler = WindowSampler(train.info.count, sequence_length=sequence_length, seed=seed)
        self._window = np.arange(sequence_length)
        self.samples_per_epoch = self._sampler.samples_per_epoch

    def train_batch(self, first: int, *, count: int) -> MaskedBatch:
        """Windows first .. first + count - 1 in the order of the seed, each with other tokens hidden whenever it comes."""
        index = self._sampler.starts(first, count=count)[:, None] + self._window
        numbers = np.arange(first, first + count, dtype=np.int64)
        return self._batch(self._ids[index].astype(np.int64), keys(numbers, seed=self._seed, stream="masks"))

    def predicted(self, split: str, *, max_samples: int | None) -> int:
        """How many tokens an evaluation predicts, of a split or of its first windows."""
        return sum((stop - start) // width * self._predicted(width) for start, stop, width in self._stretches(split, max_samples, _ALL))

    def evaluation_batches(
        self, split: str, workers: Workers, *, max_samples: int | None, at_once: int
    ) -> Iterator[tuple[MaskedBatch, bool]]:
        """A worker's share of a split's windows, and whether they count: whole ones many at a time, then the shorter one that is left.
        at_once: tokens."""
        ids = np.asarray(open_tokens(self._folder, split).ids)
        stretches = self._stretches(split, max_samples, max(1, at_once // self._length))
        for (start, stop, width), counts in workers.share(stretches):
            numbers = np.arange(start, stop, width, dtype=np.int64)
            yield self._batch(ids[start:stop].astype(np.int64).reshape(-1, width), _evaluation_keys(numbers)), counts

    def some(self, split: str, *, count: int, length: int) -> Iterator[MaskedBatch]:
        """Beginnings of windows, a batch each, from the whole of a split; fewer where it has fewer windows."""
        file = open_tokens(self._folder, split)
        windows = max(1, file.info.count // self._length)
        for number in range(min(count, windows)):
            start = number * windows // min(count, windows) * self._length
            ids = np.asarray(file.ids[start : start + length]).astype(np.int64)[None]
            yield self._batch(ids, _evaluation_keys(np.array([start])))

    def labels(self, split: str, masking: Masking) -> Iterator[Ids]:
        """What an evaluation predicts, computed on the host."""
        ids = np.asarray(open_tokens(self._folder, split).ids)
        for start, stop, width in self._stretches(split, None, 4096):
            sequences = torch.from_numpy(ids[start:stop].astype(np.int64).reshape(-1, width))
            numbers = torch.from_numpy(_evaluation_keys(np.arange(start, stop, width, dtype=np.int64)))
            chosen, _ = masking.choose(sequences, numbers, predicted=self._predicted(width))
            yield sequences.gather(1, chosen).flatten().numpy()

    def _stretches(self, split: str, max_samples: int | None, windows: int) -> list[tuple[int, int, int]]:
        """(first token, end, width of the windows) of what is computed at once."""
        tokens, length = open_tokens(self._folder, split).info.count, self._length
        if max_samples is not None:
            tokens = min(tokens, max_samples * length)
        whole, step = tokens // length * length, windows * length
        stretches = [(start, min(start + step, whole), length) for start in range(0, whole, step)]
        return [*stretches, *([(whole, tokens, tokens - whole)] if tokens > whole else [])]

    def _batch(self, ids: Ids, of: Ids) -> MaskedBatch:
        return MaskedBatch(self._device.transfer(ids), self._device.transfer(of), self._predicted(ids.shape[1]))


def _evaluation_keys(starts: Ids) -> Ids:
    return keys(starts, seed=_EVALUATION_SEED, stream="evaluation masks")
