"""Thinned curves hide nothing that the full ones show."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from specrun.report.curves import Sample, bounds, curve, spread, thin

values = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=400)
LIMIT = 40


def samples_of(found: list[float]) -> list[Sample]:
    return [(i, value if math.isfinite(value) else None) for i, value in enumerate(found)]


@given(values)
def test_a_thinned_curve_keeps_its_limit_ends_and_order(found: list[float]) -> None:
    samples = samples_of(found)
    thinned = thin(samples, limit=LIMIT)
    assert len(thinned) <= max(LIMIT, 0)
    assert list(thinned) == sorted(thinned, key=lambda sample: sample[0])
    assert set(thinned) <= set(samples)
    if samples:
        assert thinned[0] == samples[0]
        assert thinned[-1] == samples[-1]


@given(values)
def test_a_thinned_curve_keeps_the_highest_and_the_lowest_value(found: list[float]) -> None:
    finite = [value for value in found if math.isfinite(value)]
    thinned = [value for _, value in thin(samples_of(found), limit=LIMIT) if value is not None]
    assert (min(finite), max(finite)) == (min(thinned), max(thinned)) if finite else thinned == []


@given(values)
def test_a_gap_stays_a_gap(found: list[float]) -> None:
    has_gap = any(not math.isfinite(value) for value in found)
    assert any(value is None for _, value in thin(samples_of(found), limit=LIMIT)) == has_gap


def test_taking_every_nth_value_would_lose_the_spike_that_thinning_keeps() -> None:
    samples: list[Sample] = [(step, 1.0) for step in range(1000)]
    samples[503] = (503, 99.0)
    assert 99.0 not in [value for _, value in samples[::25]]
    assert 99.0 in [value for _, value in thin(samples, limit=LIMIT)]


@given(st.lists(st.integers(min_value=0, max_value=10**6), max_size=200, unique=True).map(sorted), st.integers(min_value=2, max_value=30))
def test_spread_items_are_few_and_include_both_ends_and_what_must_stay(items: list[int], limit: int) -> None:
    keep = frozenset(items[len(items) // 3 : len(items) // 3 + 1])
    chosen = spread(items, limit=limit, keep=keep)
    assert len(chosen) <= limit + len(keep)
    assert list(chosen) == sorted(chosen)
    if items:
        assert chosen[0] == items[0]
        assert chosen[-1] == items[-1]
        assert keep <= set(chosen)


finite = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=30)


@given(finite)
def test_a_linear_domain_holds_every_value_and_has_a_height(found: list[float]) -> None:
    low, high = bounds(found, log=False)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    assert all(low <= value <= high for value in found)


@given(finite)
def test_a_log_domain_holds_every_positive_value_and_never_reaches_zero(found: list[float]) -> None:
    low, high = bounds([value for value in found if value > 1e-290], log=True)
    assert 0 < low < high < math.inf
    assert all(low <= value <= high for value in found if value > 1e-290)


def test_a_domain_of_small_positive_values_starts_at_zero_rather_than_below() -> None:
    assert bounds([0.001, 1.0], log=False)[0] == 0.0


def test_a_curve_counts_what_is_not_finite_and_says_where_it_began() -> None:
    found = curve([(3, math.nan), (1, 2.0), (2, math.inf), (4, 1.0)], metric="train/loss", label="train", role="train")
    assert found.samples == ((1, 2.0), (2, None), (3, None), (4, 1.0))
    assert (found.not_finite, found.first_not_finite, found.recorded, found.thinned) == (2, 2, 4, False)
    assert found.finite == ((1, 2.0), (4, 1.0))
