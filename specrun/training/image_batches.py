"""Images as samples: bytes on the device, or mapped from a file where they are many, gathered by index.

Shapes: B images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from specrun.plan.cost import images_at_once
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.augmentation import Changes, Drawn, draw
from specrun.training.order import Order

RESIDENT_BYTES = {"cpu": 2**28, "cuda": 2**33}
"""A split of more is read from its file, whose pages the system keeps as far as there is memory."""


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """On the device. images: uint8 (B, C, H, W); labels: int64 (B,); moves: as `augmentation.Drawn` has them, None in evaluations and where
    images are not changed. partner: what each is mixed with, by shares (B,) of its own."""

    images: Tensor
    labels: Tensor
    moves: Tensor | None = None
    partner: ImageBatch | None = None
    shares: Tensor | None = None

    @property
    def weight(self) -> int:
        return len(self.labels)

    @property
    def positions(self) -> int:
        return len(self.labels)

    def share(self, rank: int, *, size: int) -> ImageBatch:
        """What one of `size` workers has of the images."""
        each = len(self.labels) // size
        return self.part(slice(rank * each, (rank + 1) * each))

    def split(self, size: int) -> Iterator[ImageBatch]:
        """The same images in parts of at most `size`, in order."""
        if size >= len(self.labels):
            yield self
        else:
            yield from (self.part(slice(start, start + size)) for start in range(0, len(self.labels), size))

    def part(self, part: slice) -> ImageBatch:
        """Some of the images, with all that goes with them."""
        return ImageBatch(
            self.images[part],
            self.labels[part],
            None if self.moves is None else self.moves[part],
            None if self.partner is None else self.partner.part(part),
            None if self.shares is None else self.shares[part],
        )


class Images:
    """A folder of prepared images: `<split>.images.npy` and `<split>.labels.npy`. changes: what is done to those of the train split.
    resident_bytes: a split of no more is kept on the device."""

    def __init__(
        self, folder: Path, *, seed: int, draw_seed: int, device: Device, changes: Changes, resident_bytes: int | None = None
    ) -> None:
        self._folder, self._device, self._changes, self._draw_seed = folder, device, changes, draw_seed
        self._resident_bytes = RESIDENT_BYTES[device.kind] if resident_bytes is None else resident_bytes
        self._train = self._open("train")
        self._order = Order(len(self._train.labels), seed=seed)
        self.samples_per_epoch = len(self._train.labels)

    def train_batch(self, first: int, *, count: int) -> ImageBatch:
        """Samples first .. first + count - 1 in the order of the seed."""
        chosen = self._order.chosen(first, count=count)
        images, labels = self._train.gather(chosen)
        if not (self._changes.moves or self._changes.mixup):
            return ImageBatch(images, labels)
        drawn = self._draw(first, count, seed=self._draw_seed)
        if not self._changes.mixup:
            return ImageBatch(images, labels, self._moves(drawn))
        partners, their_labels = self._train.gather((drawn.partners * self.samples_per_epoch).astype(np.int64))
        partner = ImageBatch(partners, their_labels, self._moves(self._draw(first, count, seed=self._draw_seed ^ 1)))
        return ImageBatch(images, labels, self._moves(drawn), partner, self._device.transfer(drawn.shares))

    def _draw(self, first: int, count: int, *, seed: int) -> Drawn:
        height, width = self._train.size
        return draw(self._changes, first, count=count, seed=seed, height=height, width=width)

    def _moves(self, drawn: Drawn) -> Tensor | None:
        return self._device.transfer(drawn.moves) if self._changes.moves else None

    def evaluation_batches(
        self, split: str, workers: Workers, *, max_samples: int | None, divided: int = 1
    ) -> Iterator[tuple[ImageBatch, bool]]:
        """A worker's share of the first images of a split, in their order, and whether they count. divided: as `Task.evaluate` has it."""
        opened = self._open(split)
        count = min(len(opened.labels), max_samples or len(opened.labels))
        at_once = max(1, images_at_once(self._device.kind, *opened.size) // divided)
        starts = range(0, count, at_once)
        for start, counts in workers.share(starts):
            yield ImageBatch(*opened.gather(np.arange(start, min(start + at_once, count)))), counts

    def labels(self, split: str) -> npt.NDArray[np.int64]:
        """Of a whole split, on the host."""
        found: npt.NDArray[np.int64] = np.load(self._folder / f"{split}.labels.npy")
        return found

    def some(self, split: str, chosen: npt.NDArray[np.int64]) -> ImageBatch:
        """Images of a split by their number."""
        return ImageBatch(*self._open(split).gather(chosen))

    def _open(self, split: str) -> _Split:
        if split == "train" and hasattr(self, "_train"):
            return self._train
        images = np.load(self._folder / f"{split}.images.npy", mmap_mode="r")
        return _Split(images, self.labels(split), self._device, resident=images.nbytes <= self._resident_bytes)


class _Split:
    """Images and labels of a split, on the device or in a file. labels: on the host."""

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], device: Device, *, resident: bool) -> None:
        self.labels = labels
        self.size: tuple[int, int] = (images.shape[2], images.shape[3])
        self._device = device
        # A plain array over the map: numpy's memmap class costs microseconds in each operation.
        self._mapped: npt.NDArray[Any] | None = None if resident else np.asarray(images)
        self._images = device.transfer(np.array(images)) if resident else None
        self._labels = device.transfer(labels)

    def gather(self, chosen: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """(images, labels) on the device, by one transfer of the indices or of the images."""
        index = self._device.transfer(chosen)
        if self._images is not None:
            return torch.index_select(self._images, 0, index), torch.index_select(self._labels, 0, index)
        assert self._mapped is not None
        return self._device.transfer(self._mapped[chosen]), torch.index_select(self._labels, 0, index)
