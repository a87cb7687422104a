"""Labelled texts as samples: token ids padded to the longest that is computed with them, what pads neither seen nor counted.

Shapes: B texts, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.documents import IGNORED, Counts, DocumentSampler, Reading, Room
from specrun.training.token_file import TokenFile, open_tokens

_HEAD = 2
"""Columns before the ids: how many there are, and the label."""


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts, longest first. packed: int64 (B, 2 + T) on the device: tokens of each, its label, its ids. spans: tokens of each on the host,
    at least one. longest: where several workers share a batch, the longest of theirs beside each of this one's, by which all of them
    divide alike. weight: texts; positions: computed ones. Rows that only fill a shape have no span, no token and no label."""

    packed: Tensor
    spans: Counts
    longest: Counts
    room: Room

    @property
    def weight(self) -> int:
        return len(self.spans)

    @property
    def positions(self) -> int:
        return self.packed.shape[0] * (self.packed.shape[1] - _HEAD)

    @property
    def lengths(self) -> Tensor:
        return self.packed[:, 0]

    @property
    def labels(self) -> Tensor:
        return self.packed[:, 1]

    @property
    def ids(self) -> Tensor:
        return self.packed[:, _HEAD:]

    def share(self, rank: int, *, size: int) -> TextBatch:
        """What one of `size` workers has of the texts: as long ones as the others."""
        return TextBatch(self.packed[rank::size], self.spans[rank::size], self.longest[::size], self.room)

    def split(self, size: int) -> Iterator[TextBatch]:
        """The same texts in parts of as many as fit, padded, into the tokens of `size` texts of full length."""
        for part in self.room.divide(self.longest, tokens=size * self.room.sequence_length):
            chosen = slice(part.start, part.stop)
            packed = self.packed[chosen, : _HEAD + part.width]
            if missing := part.rows - len(packed):
                filling = packed.new_zeros((missing, packed.shape[1]))
                filling[:, 1] = IGNORED
                packed = torch.cat((packed, filling))
            yield TextBatch(packed, self.spans[chosen], self.longest[chosen], self.room)


class LabelledTexts:
    """A split: a token file, a text a document, and labels (texts,)."""

    def __init__(self, folder: Path, split: str) -> None:
        self._file: TokenFile = open_tokens(folder, split)
        # Plain arrays over the maps: numpy's memmap class costs microseconds in each operation.
        self._ids, self._starts = np.asarray(self._file.ids), np.asarray(self._file.offsets)[:-1]
        self.lengths: Counts = np.diff(np.asarray(self._file.offsets)).astype(np.int64)
        self.spans: Counts = np.maximum(self.lengths, 1)
        self.labels: Counts = np.load(folder / f"{split}.labels.npy")

    def __len__(self) -> int:
        return len(self.lengths)

    def packed(self, chosen: Counts, *, width: int) -> Counts:
        """Texts by their number, (B, 2 + width): tokens of each, its label, its ids, 0 where they are over."""
        found = np.zeros((len(chosen), _HEAD + width), dtype=np.int64)
        lengths = self.lengths[chosen]
        found[:, 0], found[:, 1] = lengths, self.labels[chosen]
        kept = np.arange(width) < lengths[:, None]
        found[:, _HEAD:][kept] = self._ids[(self._starts[chosen][:, None] + np.arange(width))[kept]]
        return found


class TextSamples:
    """The texts of a folder in the order of a seed, and in evaluations by their length."""

    def __init__(self, folder: Path, *, sequence_length: int, seed: int, device: Device, reading: Reading) -> None:
        self._folder, self._device = folder, device
        self._length = sequence_length
        self._room = Room(sequence_length, pad_to_few_shapes=reading.pad_to_few_shapes)
        self._train = LabelledTexts(folder, "train")
        self._sampler = DocumentSampler(
            self._train.spans, batch_size=reading.batch_size, seed=seed, group_by_length=reading.group_by_length
        )
        self.samples_per_epoch = self._sampler.samples_per_epoch

    @property
    def train_labels(self) -> Counts:
        """Labels of the train split, (texts,)."""
        return self._train.labels

    def train_batch(self, first: int, *, count: int) -> TextBatch:
        """Texts first .. first + count - 1 in the order of the seed, longest first; of equal ones the split's first."""
        chosen = self._sampler.samples(first, count=count)
        return self._gather(self._train, chosen[np.lexsort((chosen, -self._train.spans[chosen]))], self._room)

    def evaluation_batches(
        self, split: str, *, max_samples: int | None, workers: Workers, at_once: int
    ) -> Iterator[tuple[TextBatch, bool]]:  # fmt: skip
        """A worker's share of a split, or of its first texts, and whether they count. at_once: tokens, padding included."""
        texts = LabelledTexts(self._folder, split)
        order = np.argsort(-texts.spans[:max_samples], kind="stable")
        room = Room(self._length)
        together = list(room.divide(texts.spans[order], tokens=at_once))
        for part, counts in workers.share(together):
            yield self._gather(texts, order[part.start : part.stop], room), counts

    def chosen_batch(self, split: str, chosen: Counts) -> TextBatch:
        """Texts of a split by their number, as they are ordered."""
        texts = LabelledTexts(self._folder, split)
        width = int(texts.spans[chosen].max())
        return TextBatch(self._device.transfer(texts.packed(chosen, width=width)), texts.spans[chosen], texts.spans[chosen], self._room)

    def _gather(self, texts: LabelledTexts, chosen: Counts, room: Room) -> TextBatch:
        """Texts by their number, longest first."""
        spans = texts.spans[chosen]
        packed = texts.packed(chosen, width=room.width(int(spans[0])))
        return TextBatch(self._device.transfer(packed), spans, spans, room)
