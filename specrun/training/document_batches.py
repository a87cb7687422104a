"""Documents as samples, each for itself: padded to the longest that is computed with it, the padding neither predicted nor counted.

Attention needs no mask: it is causal, and what pads a document stands after it.
Shapes: B sequences, T tokens each, N tokens, C width.
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
from torch.nn import functional as F  # noqa: N812 - the field's own name for it

from specrun.errors import DataError
from specrun.runtime.device import Device
from specrun.runtime.distributed import Workers
from specrun.training.documents import IGNORED, Counts, DocumentSampler, Pieces, Reading, Room, padded, pieces
from specrun.training.token_file import TokenInfo, open_tokens
from specrun.training.windows import Predicted


@dataclass(frozen=True, slots=True)
class DocumentBatch:
    """Pieces of documents, longest first. ids: (B, T + 1) on the device, `IGNORED` where a piece is over; lengths: predicted tokens of
    each, on the host. longest: where several workers share a batch, the longest of theirs beside each of this one's pieces, by which
    all of them divide alike. weight: predicted tokens; positions: computed ones."""

    ids: Tensor
    lengths: Counts
    longest: Counts
    room: Room

    @property
    def weight(self) -> int:
        return int(self.lengths.sum())

    @property
    def positions(self) -> int:
        return self.ids.shape[0] * (self.ids.shape[1] - 1)

    @property
    def inputs(self) -> Tensor:
        return self.ids[:, :-1].clamp(min=0)

    def predictions(self, hidden_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """(hidden states (N, C), labels (N,)) of what is predicted."""
        hidden, labels = hidden_BTC.flatten(0, 1), self.ids[:, 1:].flatten()
        if self.weight == self.positions:
            return hidden, labels
        # Its size is known on the host, so that nothing waits for the device.
        kept = torch.nonzero_static(labels != IGNORED, size=self.weight).squeeze(1)
        return hidden.index_select(0, kept), labels.index_select(0, kept)

    def share(self, rank: int, *, size: int) -> DocumentBatch:
        """What one of `size` workers has of the pieces: as long ones as the others."""
        return DocumentBatch(self.ids[rank::size], self.lengths[rank::size], self.lengths[::size], self.room)

    def split(self, size: int) -> Iterator[DocumentBatch]:
        """The same pieces in parts of as many as fit, padded, into the tokens of `size` sequences of full length."""
        for part in self.room.divide(self.longest, tokens=size * self.room.sequence_length):
            chosen = slice(part.start, part.stop)
            ids = self.ids[chosen, : part.width + 1]
            if missing := part.rows - len(ids):
                ids = F.pad(ids, (0, 0, 0, missing), value=IGNORED)
            yield DocumentBatch(ids, self.lengths[chosen], self.longest[chosen], self.room)


class Documents:
    """Reads a folder of tokens document by document. sample_tokens: predicted in a sample, in the mean."""

    def __init__(self, folder: Path, *, sequence_length: int, seed: int, device: Device, reading: Reading) -> None:
        self._folder, self._length, self._device = folder, sequence_length, device
        self._room = Room(sequence_length, pad_to_few_shapes=reading.pad_to_few_shapes)
        self._ids, self._pieces = self._open("train")
        self._sampler = DocumentSampler(
            self._pieces.lengths, batch_size=reading.batch_size, seed=seed, group_by_length=reading.group_by_length
        )
        self.samples_per_epoch = self._sampler.samples_per_epoch
        self.sample_tokens: float | None = self._pieces.tokens / self.samples_per_epoch

    def train_batch(self, first: int, *, count: int) -> DocumentBatch:
        """Pieces first .. first + count - 1 in the order of the seed, longest first; of equal ones the split's first."""
        chosen = self._sampler.samples(first, count=count)
        return self._gather(self._ids, self._pieces, chosen[np.lexsort((chosen, -self._pieces.lengths[chosen]))], self._room)

    def predicted(self, split: str, *, max_samples: int | None) -> Predicted:
        """What is predicted of a split, or of its first pieces; bytes and words are then the split's, by the share of its tokens."""
        info, (_, all_of_it) = open_tokens(self._folder, split).info, self._open(split)
        tokens = int(all_of_it.lengths[:max_samples].sum())
        share = tokens / all_of_it.tokens
        text_bytes, words = self._predicted_text(info, split)
        return Predicted(tokens, text_bytes * share, words * share)

    def evaluation_batches(self, split: str, tokens: int, workers: Workers, *, at_once: int) -> Iterator[tuple[DocumentBatch, bool]]:
        """A worker's share of the first pieces of a split, which predict so many tokens, and whether they count. at_once: tokens."""
        ids, all_of_it = self._open(split)
        count = int(np.searchsorted(np.cumsum(all_of_it.lengths), tokens)) + 1
        order = np.argsort(-all_of_it.lengths[:count], kind="stable")
        room = Room(self._length)
        together = list(room.divide(all_of_it.lengths[order], tokens=at_once))
        for part, counts in workers.share(together):
            yield self._gather(ids, all_of_it, order[part.start : part.stop], room), counts

    def _gather(self, ids: npt.NDArray[Any], of: Pieces, chosen: Counts, room: Room) -> DocumentBatch:
        """Pieces by their number, longest first."""
        rows = Pieces(of.starts[chosen], of.lengths[chosen])
        width = room.width(int(rows.lengths[0]))
        return DocumentBatch(self._device.transfer(padded(ids, rows, width=width)), rows.lengths, rows.lengths, room)

    def _open(self, split: str) -> tuple[npt.NDArray[Any], Pieces]:
        """The tokens of a split, and its pieces. Raises: DataError where none of its documents has a token to predict."""
        file = open_tokens(self._folder, split)
        found = pieces(file, sequence_length=self._length)
        if not len(found.lengths):
            raise DataError(f"no document of the {split} split has two tokens, so that none is predicted", code="documents-too-short",
                            hint="set data.tokenizer.end_of_text: true, or data.packing: stream")  # fmt: skip
        return np.asarray(file.ids), found

    def _predicted_text(self, info: TokenInfo, split: str) -> tuple[int, int]:
        if info.document_predicted_bytes is not None and info.document_predicted_words is not None:
            return info.document_predicted_bytes, info.document_predicted_words
        if info.leading_end_of_text:
            return info.bytes, info.words
        raise DataError(f"{self._folder / split}.json does not say what of its documents' text is predicted: it was written before "
                        "documents could be read each for itself", code="outdated-tokens",
                        hint=f"delete {self._folder} and apply again; the step that wrote it will be run anew")  # fmt: skip
