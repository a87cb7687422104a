"""The sampler: every window once an epoch, an order of its own each epoch, and no memory of how a position was reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specrun.errors import DataError
from specrun.plan.resolve import samples_per_epoch
from specrun.training.sampler import WindowSampler, mix, permute

lengths = st.integers(2, 40)
seeds = st.integers(0, 2**63 - 1)


def sampler(count: int, length: int, seed: int = 0) -> WindowSampler:
    return WindowSampler(count, sequence_length=length, seed=seed)


@given(size=st.integers(1, 3000), key=st.integers(0, 2**64 - 1))
def test_permute_is_a_bijection_of_every_size(size: int, key: int) -> None:
    values = np.arange(size, dtype=np.uint64)
    result = permute(values, size=size, keys=np.full(size, key, dtype=np.uint64))
    assert sorted(result.tolist()) == list(range(size))


def test_different_keys_permute_differently() -> None:
    values = np.arange(500, dtype=np.uint64)
    one, other = (permute(values, size=500, keys=np.full(500, key, dtype=np.uint64)) for key in (1, 2))
    assert (one != other).mean() > 0.98


def test_each_position_is_sent_anywhere_about_equally_often() -> None:
    size, trials = 10, 20_000
    keys = mix(np.arange(trials, dtype=np.uint64))
    for position in (0, 4, 9):
        counts = np.bincount(permute(np.full(trials, position, dtype=np.uint64), size=size, keys=keys).astype(int), minlength=size)
        # Chi-square with 9 degrees of freedom: 27.9 is its 99.9 % quantile.
        assert ((counts - trials / size) ** 2 / (trials / size)).sum() < 27.9


@given(count=st.integers(3, 2000), length=lengths, seed=seeds, epoch=st.integers(0, 5))
def test_an_epoch_visits_each_window_once_inside_the_stream(count: int, length: int, seed: int, epoch: int) -> None:
    size = samples_per_epoch(count, length)
    if size == 0:
        with pytest.raises(DataError):
            sampler(count, length, seed)
        return
    starts = np.sort(sampler(count, length, seed).starts(epoch * size, count=size))
    assert starts[0] >= 0
    assert starts[-1] + length + 1 <= count
    assert (np.diff(starts) == length).all()


@given(count=st.integers(20, 400), length=lengths, seed=seeds, cuts=st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_any_way_to_ask_gives_the_same_samples(count: int, length: int, seed: int, cuts: list[int]) -> None:
    if samples_per_epoch(count, length) == 0:
        return
    one, other, position = sampler(count, length, seed), sampler(count, length, seed), 0
    whole = one.starts(0, count=sum(cuts))
    for cut in cuts:
        assert np.array_equal(other.starts(position, count=cut), whole[position : position + cut])
        position += cut


def test_a_request_may_cross_blocks_and_epochs() -> None:
    one, other = sampler(500, 7), sampler(500, 7)
    whole = one.starts(0, count=10_000)
    assert np.array_equal(other.starts(4000, count=300), whole[4000:4300])
    assert np.array_equal(other.starts(8191, count=2), whole[8191:8193])


def test_epochs_differ_in_order_and_in_where_they_start() -> None:
    sampler_ = sampler(10_000, 10)
    size = sampler_.samples_per_epoch
    epochs = [sampler_.starts(epoch * size, count=size) for epoch in range(100)]
    assert len({int(epoch.min()) for epoch in epochs}) == 10
    assert not np.array_equal(epochs[0] - epochs[0].min(), epochs[1] - epochs[1].min())


def test_seeds_differ() -> None:
    assert not np.array_equal(sampler(10_000, 10, 1).starts(0, count=100), sampler(10_000, 10, 2).starts(0, count=100))


def test_a_far_position_costs_no_more_than_a_near_one() -> None:
    far = sampler(10**9, 512).starts(10**15, count=3)
    assert far.shape == (3,)
    assert (far < 10**9).all()


@settings(max_examples=300)
@given(count=st.integers(0, 500), length=lengths)
def test_samples_an_epoch_is_the_most_that_fits_whatever_the_offset(count: int, length: int) -> None:
    size = samples_per_epoch(count, length)
    assert size >= 0
    if count >= 2 * length:
        assert length - 1 + size * length + 1 <= count < length - 1 + (size + 1) * length + 1
    else:
        assert size == (1 if count > length else 0)


def test_a_stream_of_exactly_one_window_is_enough_and_one_less_is_not() -> None:
    assert sampler(9, 8).starts(0, count=3).tolist() == [0, 0, 0]
    with pytest.raises(DataError) as caught:
        sampler(8, 8)
    assert caught.value.code == "corpus-shorter-than-sequence"
