"""Pairs of sequences as samples: a source that is read whole, a target that is predicted token by token; padding does not count.

Both sides lie in files of tokens with an end-of-text token before and after each text: a source is the text and its end, a target is
begun by the end of the text before it.
Shapes: B pairs, S source tokens, T target tokens, N predicted tokens, C width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.documents import IGNORED, Counts, DocumentSampler, Reading, Room, padded, pieces
from specrun.training.token_file import open_tokens

SIDES = ("source", "target")
_NEARLY_ALL = 0.999
_SPARE_TOKENS = 10


def side_file(split: str, side: str) -> str:
    """Name of the token files that hold a side of a split."""
    return f"{split}.{side}"


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Pairs, the longest first. source: (B, S), target: (B, T + 1), on the device, `IGNORED` where one is over; source_lengths_B: the
    same on the device; lengths: tokens of source and of predicted target, (B, 2), on the host. longest: where several workers share a
    batch, the longer side of theirs beside each of this one's pairs, by which all of them divide alike."""

    source: Tensor
    target: Tensor
    source_lengths: Tensor
    lengths: Counts
    longest: Counts
    room: Room

    @property
    def weight(self) -> int:
        return int(self.lengths[:, 1].sum())

    @property
    def positions(self) -> int:
        return self.source.numel() + len(self.target) * (self.target.shape[1] - 1)

    @property
    def source_ids(self) -> Tensor:
        return self.source.clamp(min=0)

    @property
    def inputs(self) -> Tensor:
        """What the target is begun with, and all of it but the end."""
        return self.target[:, :-1].clamp(min=0)

    def predictions(self, hidden_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states (N, C), labels (N,)) of what is predicted."""
        hidden, labels = hidden_BTC.flatten(0, 1), self.target[:, 1:].flatten()
        if self.weight == len(labels):
            return hidden, labels
        # Its size is known on the host, so that nothing waits for the device.
        kept = torch.nonzero_static(labels != IGNORED, size=self.weight).squeeze(1)
        return hidden.index_select(0, kept), labels.index_select(0, kept)

    def share(self, rank: int, *, size: int) -> PairBatch:
        """What one of `size` workers has of the pairs: as long ones as the others."""
        each = slice(rank, None, size)
        return PairBatch(
            self.source[each], self.target[each], self.source_lengths[each], self.lengths[each], self.longest[::size], self.room
        )

    def split(self, size: int) -> Iterator[PairBatch]:
        """The same pairs in parts of as many as fit, padded, into the tokens of `size` sequences of full length on either side."""
        for part in self.room.divide(self.longest, tokens=size * self.room.sequence_length):
            chosen = slice(part.start, part.stop)
            lengths = self.lengths[chosen]
            sources, targets = (self.room.width(int(longest)) for longest in lengths.max(axis=0))
            source, target = self.source[chosen, :sources], self.target[chosen, : targets + 1]
            of_source = self.source_lengths[chosen]
            if missing := part.rows - len(source):
                source, target = (F.pad(ids, (0, 0, 0, missing), value=IGNORED) for ids in (source, target))
                # A row of padding reads one token: there is no attention to none.
                of_source = F.pad(of_source, (0, missing), value=1)
            yield PairBatch(source, target, of_source, lengths, self.longest[chosen], self.room)


class Pairs:
    """Reads a folder of pairs. sample_tokens: predicted in a sample, in the mean."""

    def __init__(self, folder: Path, *, sequence_length: int, seed: int, device: Device, reading: Reading) -> None:
        self._folder, self._length, self._device = folder, sequence_length, device
        self._room = Room(sequence_length, pad_to_few_shapes=reading.pad_to_few_shapes)
        self._train = _Split(folder, "train", sequence_length)
        # Half of a step's work is for either side, so that pairs of like sums are alike.
        self._sampler = DocumentSampler(
            self._train.lengths.sum(axis=1), batch_size=reading.batch_size, seed=seed, group_by_length=reading.group_by_length
        )
        self.samples_per_epoch = self._sampler.samples_per_epoch
        self._ratio = float(np.quantile(self._train.lengths[:, 1] / self._train.lengths[:, 0], _NEARLY_ALL))
        self.sample_tokens: float | None = float(self._train.lengths[:, 1].mean())

    def train_batch(self, first: int, *, count: int) -> PairBatch:
        """Pairs first .. first + count - 1 in the order of the seed, the longest first; of equal ones the split's first."""
        chosen = self._sampler.samples(first, count=count)
        return self._gather(self._train, chosen[np.lexsort((chosen, -self._train.longest[chosen]))], self._room)

    def limits(self, source_lengths: Counts) -> Counts:
        """Most tokens that a target is likely to have, its end counted, by the tokens of its source: more than nearly all in training."""
        likely: Counts = np.ceil(self._ratio * source_lengths).astype(np.int64) + _SPARE_TOKENS
        return np.minimum(likely, self._length)

    def chosen(self, split: str, numbers: Sequence[int]) -> PairBatch:
        """Pairs of a split by their number."""
        return self._gather(_Split(self._folder, split, self._length), np.asarray(numbers, dtype=np.int64), Room(self._length))

    def predicted(self, split: str, *, max_samples: int | None) -> int:
        """Tokens that are predicted of a split, or of its first pairs."""
        return int(_Split(self._folder, split, self._length).lengths[:max_samples, 1].sum())

    def evaluation_batches(
        self, split: str, workers: Workers, *, max_samples: int | None, at_once: int
    ) -> Iterator[tuple[PairBatch, Counts, bool]]:
        """A worker's share of the first pairs of a split, their numbers in it, and whether they count. at_once: tokens of a side."""
        of = _Split(self._folder, split, self._length)
        order, room = np.argsort(-of.longest[:max_samples], kind="stable"), Room(self._length)
        for part, counts in workers.share(list(room.divide(of.longest[order], tokens=at_once))):
            numbers = order[part.start : part.stop]
            yield self._gather(of, numbers, room), numbers, counts

    def _gather(self, of: _Split, chosen: Counts, room: Room) -> PairBatch:
        """Pairs by their number, the longest first."""
        lengths, transfer = of.lengths[chosen], self._device.transfer
        widths = [room.width(int(longest)) for longest in lengths.max(axis=0)]
        source, target = (of.ids(number, chosen, width=width) for number, width in enumerate(widths))
        # The token before a source is the end of the one before it, and says nothing.
        return PairBatch(transfer(np.ascontiguousarray(source[:, 1:])), transfer(target), transfer(np.ascontiguousarray(lengths[:, 0])),
                         lengths, lengths.max(axis=1), room)  # fmt: skip


class _Split:
    """The two files of a split. lengths: tokens of each source and target, their end counted, (samples, 2); longest: of the two."""

    def __init__(self, folder: Path, split: str, sequence_length: int) -> None:
        files = [open_tokens(folder, side_file(split, side)) for side in SIDES]
        # A plain array over the map: numpy's memmap class costs microseconds in each operation.
        self._ids = [np.asarray(file.ids) for file in files]
        self._pieces = [pieces(file, sequence_length=sequence_length) for file in files]
        self.lengths = np.stack([side.lengths for side in self._pieces], axis=1)
        self.longest = self.lengths.max(axis=1)

    def ids(self, side: int, chosen: Counts, *, width: int) -> Counts:
        of = self._pieces[side]
        return padded(self._ids[side], type(of)(of.starts[chosen], of.lengths[chosen]), width=width)
