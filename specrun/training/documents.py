"""Documents as samples: cut into pieces no longer than a sequence, ordered by (seed, n) alone, divided by a budget of tokens.

Owns which piece is sample number n, and which samples are computed together. Nothing is stored and nothing advances: the position is
an integer, so resuming costs nothing. What a batch holds on the device is the task's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from specrun.training.sampler import mix, permute
from specrun.training.token_file import TokenFile

Counts = npt.NDArray[np.int64]
IGNORED = -100
"""What stands where a document is over; as a label, torch's losses leave it out."""
POOL_BATCHES = 50
"""Batches of one pool are made of samples of like lengths: more make them more alike, and their samples less mixed."""
_WIDTHS = 8
_NARROWEST = 64
"""Compiled code is for one shape, and torch keeps that of eight: sequences have one of so many widths, none below so many tokens."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How documents are read in training. batch_size: samples of an optimizer step; group_by_length: whether a batch is made of samples
    of like lengths; pad_to_few_shapes: whether what is computed at once is padded to one of a few shapes, as compiled code wants it."""

    batch_size: int
    group_by_length: bool = False
    pad_to_few_shapes: bool = False


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a split's documents, in its order. starts: of each its first token, which is given; lengths: tokens after it, which
    are predicted. Both (samples,)."""

    starts: Counts
    lengths: Counts

    @property
    def tokens(self) -> int:
        """Predicted tokens, each once."""
        return int(self.lengths.sum())


def pieces(file: TokenFile, *, sequence_length: int) -> Pieces:
    """Documents cut so that each piece predicts sequence_length tokens, or fewer at a document's end; neighbours share one token.

    A document begins with the end-of-text token before it, where the stream has these, and ends with its own, so that all of its tokens
    are predicted; without them its first token is not.
    """
    leading = int(file.info.leading_end_of_text)
    predicted = np.maximum(np.diff(np.asarray(file.offsets)) - (1 - leading), 0)
    counts = -(-predicted // sequence_length)
    document = np.repeat(np.arange(len(predicted)), counts)
    passed = (np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)) * sequence_length
    starts = np.asarray(file.offsets)[document] - leading + passed
    return Pieces(starts.astype(np.int64), np.minimum(predicted[document] - passed, sequence_length).astype(np.int64))


def padded(ids: npt.NDArray[Any], chosen: Pieces, *, width: int) -> Counts:
    """The tokens of pieces, a row each, width + 1 wide, `IGNORED` where they are over. width: at least the longest's length."""
    columns = np.arange(width + 1)
    index = np.minimum(chosen.starts[:, None] + columns, len(ids) - 1)
    return np.where(columns <= chosen.lengths[:, None], ids[index].astype(np.int64), IGNORED)


class DocumentSampler:
    """Which piece is sample number n. Each epoch visits every piece once, in a permutation of its own.

    A batch may begin in one epoch and end in the next. To group by length, the permutation is cut where batches begin, into pools of
    50 batches; each pool is sorted by length, cut into batches, and these are shuffled. What an epoch has before its first
    whole batch and after its last stays as the permutation has it.
    """

    def __init__(self, lengths: Counts, *, batch_size: int, seed: int, group_by_length: bool) -> None:
        self.samples_per_epoch = len(lengths)
        self._lengths, self._batch_size, self._grouped = lengths, batch_size, group_by_length
        self._seed = np.uint64(int.from_bytes(hashlib.blake2b(b"documents %d" % seed, digest_size=8).digest(), "little"))
        self._pool = range(0)
        self._samples: Counts = np.empty(0, dtype=np.int64)

    def samples(self, first: int, *, count: int) -> Counts:
        """The pieces of samples first .. first + count - 1, which may cross epochs. Shape: (count,)."""
        found: list[Counts] = []
        while count:
            if first not in self._pool:
                self._pool = self._pool_of(first)
                self._samples = self._compute(self._pool)
            inside = first - self._pool.start
            part = self._samples[inside : inside + count]
            found.append(part)
            first, count = first + len(part), count - len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _pool_of(self, position: int) -> range:
        """The pool that a position lies in. The samples of an epoch before its first whole batch are one for themselves."""
        begin = position // self.samples_per_epoch * self.samples_per_epoch
        end = begin + self.samples_per_epoch
        batches = min(end, -(-begin // self._batch_size) * self._batch_size)
        if position < batches:
            return range(begin, batches)
        size = POOL_BATCHES * self._batch_size
        start = batches + (position - batches) // size * size
        return range(start, min(end, start + size))

    def _compute(self, pool: range) -> Counts:
        epoch, inside = divmod(pool.start, self.samples_per_epoch)
        keys = mix(np.full(len(pool), epoch, dtype=np.uint64) + self._seed)
        places = np.arange(inside, inside + len(pool), dtype=np.uint64)
        chosen = permute(places, size=self.samples_per_epoch, keys=keys).astype(np.int64)
        batches = len(pool) // self._batch_size if pool.start % self._batch_size == 0 else 0
        if not self._grouped or batches < 2:
            return chosen
        whole, rest = chosen[: batches * self._batch_size], chosen[batches * self._batch_size :]
        by_length = whole[np.lexsort((whole, self._lengths[whole]))].reshape(batches, self._batch_size)
        key = mix(keys[:1] + np.uint64(inside + 1))
        order = permute(np.arange(batches, dtype=np.uint64), size=batches, keys=np.repeat(key, batches))
        return np.concatenate((by_length[order.astype(np.int64)].reshape(-1), rest))


class Together(NamedTuple):
    """Samples that are computed at once: of a batch sorted by length, longest first, those from start on. width: tokens that each is
    padded to; rows: samples that there is room for."""

    start: int
    stop: int
    width: int
    rows: int


@dataclass(frozen=True, slots=True)
class Room:
    """What is computed at once: samples x width tokens, padding included. sequence_length: the longest there are. pad_to_few_shapes: widths
    are rounded up to one of eight, and there are as many rows for a width as there can be."""

    sequence_length: int
    pad_to_few_shapes: bool = False

    def width(self, length: int) -> int:
        """Tokens that samples are padded to, the longest of which has so many."""
        if not self.pad_to_few_shapes:
            return length
        step = max(_NARROWEST, -(-self.sequence_length // _WIDTHS))
        return min(self.sequence_length, -(-length // step) * step)

    def divide(self, lengths: Counts, *, tokens: int) -> Iterator[Together]:
        """As many samples together as fit padded into a budget of tokens, at least one. lengths: longest first."""
        start = 0
        while start < len(lengths):
            width = self.width(int(lengths[start]))
            rows = min(len(lengths), max(1, tokens // width))
            stop = min(len(lengths), start + rows)
            yield Together(start, stop, width, rows if self.pad_to_few_shapes else stop - start)
            start = stop
