"""Documents as samples: each token predicted once, each piece once an epoch, and batches divided by a budget of tokens."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.runtime.device import Device
from specrun.training.document_batches import DocumentBatch
from specrun.training.documents import IGNORED, DocumentSampler, Pieces, Room, padded, pieces
from specrun.training.token_file import open_tokens, write_tokens

DEVICE = Device("cpu", torch.device("cpu"), torch.float32)
texts = st.lists(st.integers(0, 30), min_size=1, max_size=12)
lengths_of = st.lists(st.integers(1, 40), min_size=1, max_size=60)


def sampler(lengths: list[int], batch_size: int, *, seed: int = 0, grouped: bool = True) -> DocumentSampler:
    return DocumentSampler(np.array(lengths, dtype=np.int64), batch_size=batch_size, seed=seed, group_by_length=grouped)


def batch(lengths: list[int], *, sequence_length: int = 40, pad_to_few_shapes: bool = False) -> DocumentBatch:
    """Pieces of a stream of numbers, longest first."""
    ordered = np.array(sorted(lengths, reverse=True), dtype=np.int64)
    rows = Pieces(np.concatenate(([0], np.cumsum(ordered + 1)[:-1])), ordered)
    room = Room(sequence_length, pad_to_few_shapes=pad_to_few_shapes)
    ids = padded(np.arange(ordered.sum() + len(ordered)), rows, width=room.width(int(ordered[0])))
    return DocumentBatch(torch.from_numpy(ids), ordered, ordered, room)


@given(sizes=texts, length=st.integers(1, 9), end_of_text=st.booleans())
def test_every_token_but_the_first_that_nothing_is_before_is_predicted_once_from_its_own_document(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], length: int, end_of_text: bool
) -> None:
    folder, numbers = tmp_path_factory.mktemp("tokens"), itertools.count()
    documents = [[next(numbers) for _ in range(size)] for size in sizes]
    more: dict[str, Any] = {"end_of_text_id": 999} if end_of_text else {"unpredicted": lambda _: (1, 0)}
    write_tokens(folder, "train", [(ids, len(ids), 0) for ids in documents], vocab_size=1000, **more)
    file = open_tokens(folder, "train")
    found = pieces(file, sequence_length=length)
    pairs = [(int(file.ids[s + i]), int(file.ids[s + i + 1])) for s, n in zip(found.starts, found.lengths, strict=True) for i in range(n)]
    whole = [[999, *ids, 999] if end_of_text else ids for ids in documents]
    assert pairs == [pair for ids in whole for pair in itertools.pairwise(ids)]
    assert not len(found.lengths) or (found.lengths.min() >= 1 and found.lengths.max() <= length)
    assert found.tokens == len(pairs)


@given(lengths=lengths_of, batch_size=st.integers(1, 70), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 5), grouped=st.booleans())
def test_an_epoch_visits_each_piece_once(lengths: list[int], batch_size: int, seed: int, epoch: int, grouped: bool) -> None:
    size = len(lengths)
    found = sampler(lengths, batch_size, seed=seed, grouped=grouped).samples(epoch * size, count=size)
    assert sorted(found.tolist()) == list(range(size))


@settings(max_examples=20)
@given(lengths=lengths_of, batch_size=st.integers(1, 9), cuts=st.lists(st.integers(1, 20), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_any_way_to_ask_gives_the_same_samples(lengths: list[int], batch_size: int, cuts: list[int], seed: int) -> None:
    one, other, position = sampler(lengths, batch_size, seed=seed), sampler(lengths, batch_size, seed=seed), 0
    whole = one.samples(0, count=sum(cuts))
    for cut in cuts:
        assert np.array_equal(other.samples(position, count=cut), whole[position : position + cut])
        position += cut
    assert np.array_equal(one.samples(0, count=cuts[0]), whole[: cuts[0]])


@pytest.mark.parametrize("epoch", [0, 3])
def test_grouped_batches_are_of_like_lengths_in_every_epoch_and_in_no_order_of_length(epoch: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 4003)
    first = -(-epoch * 4003 // 16)

    def spread(grouped: bool) -> tuple[float, float]:
        it = DocumentSampler(lengths, batch_size=16, seed=1, group_by_length=grouped)
        rows = np.stack([lengths[it.samples(number * 16, count=16)] for number in range(first, first + 240)])
        means = rows.mean(axis=1)
        return float(np.median(np.ptp(rows, axis=1))), float(np.corrcoef(means[:-1], means[1:])[0, 1])

    (alike, order), (mixed, _) = spread(grouped=True), spread(grouped=False)
    assert alike < 15 < 400 < mixed
    assert abs(order) < 0.2


def test_epochs_and_seeds_differ() -> None:
    one = sampler(list(range(1, 500)), 4)
    assert not np.array_equal(one.samples(0, count=499), one.samples(499, count=499))
    assert not np.array_equal(one.samples(0, count=499), sampler(list(range(1, 500)), 4, seed=1).samples(0, count=499))


def test_a_far_position_costs_no_more_than_a_near_one() -> None:
    assert len(sampler([3] * 1000, 8).samples(10**15, count=8)) == 8


@given(lengths=lengths_of, size=st.integers(1, 20), pad_to_few_shapes=st.booleans())
def test_parts_of_a_batch_are_the_batch_and_fit_the_budget(lengths: list[int], size: int, pad_to_few_shapes: bool) -> None:
    whole = batch(lengths, pad_to_few_shapes=pad_to_few_shapes)
    parts = list(whole.split(size))
    assert np.concatenate([part.lengths for part in parts]).tolist() == whole.lengths.tolist()
    assert all(part.positions <= size * 40 for part in parts)
    labels = [token for part in parts for token in part.ids[:, 1:].flatten().tolist() if token != IGNORED]
    assert labels == [token for token in whole.ids[:, 1:].flatten().tolist() if token != IGNORED]
    assert sum(part.weight for part in parts) == whole.weight == len(labels)


@given(share=st.integers(1, 9), workers=st.integers(1, 5), size=st.integers(1, 6), draw=st.data())
def test_workers_have_the_pieces_between_them_in_parts_of_the_same_shapes(share: int, workers: int, size: int, draw: Any) -> None:
    lengths = draw.draw(st.lists(st.integers(1, 40), min_size=share * workers, max_size=share * workers))
    whole = batch(lengths)
    shares = [list(whole.share(rank, size=workers).split(size)) for rank in range(workers)]
    shapes = [[part.ids.shape for part in parts] for parts in shares]
    assert all(it == shapes[0] for it in shapes)
    assert sorted(int(n) for parts in shares for part in parts for n in part.lengths) == sorted(lengths)
    assert all(part.weight > 0 and part.positions <= size * 40 for parts in shares for part in parts)


@settings(max_examples=30)
@given(length=st.integers(2, 4096), size=st.integers(1, 8), draw=st.data())
def test_what_is_compiled_has_eight_shapes_at_most(length: int, size: int, draw: Any) -> None:
    room, shapes = Room(length, pad_to_few_shapes=True), set()
    for _ in range(10):
        lengths = np.sort(np.array(draw.draw(st.lists(st.integers(1, length), min_size=8, max_size=8))))[::-1]
        shapes |= {(part.rows, part.width) for part in room.divide(lengths, tokens=size * length)}
        assert all(part.stop - part.start <= part.rows for part in room.divide(lengths, tokens=size * length))
    assert len(shapes) <= 8
    assert all(rows * width <= size * length for rows, width in shapes)


@pytest.mark.parametrize("make", [lambda: batch([5, 3, 1]), lambda: batch([4, 4])])
def test_what_is_predicted_is_picked_out_of_the_padding(make: Callable[[], DocumentBatch]) -> None:
    it = make()
    hidden = torch.arange(it.positions, dtype=torch.float32).reshape(*it.inputs.shape, 1)
    picked, labels = it.predictions(hidden)
    rows = [(row, column) for row, n in enumerate(it.lengths) for column in range(n)]
    assert picked.flatten().tolist() == [float(hidden[row, column, 0]) for row, column in rows]
    assert labels.tolist() == [int(it.ids[row, column + 1]) for row, column in rows]


def test_a_document_loses_its_own_first_token_where_nothing_stands_before_it(tmp_path: Path) -> None:
    documents = [([], 0, 0), ([3, 4], 9, 2), ([5], 4, 1), ([], 2, 0), ([2, 2, 2], 6, 3)]
    info = write_tokens(tmp_path, "train", documents, vocab_size=9, unpredicted=lambda token: (token, 1))
    assert (info.bytes - info.predicted_bytes, info.words - info.predicted_words) == (3, 1)
    assert info.document_predicted_bytes == info.bytes - (3 + 5 + 2)
    assert info.document_predicted_words == info.words - 3
