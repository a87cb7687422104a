"""The best evaluation, and how long ago it was."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.errors import SpecrunError
from specrun.training.selection import Best

values = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=30)


def feed(best: Best, numbers: list[float]) -> list[bool]:
    return [best.update(step, {"m": number}) for step, number in enumerate(numbers, start=1)]


@given(numbers=values)
def test_the_best_is_the_first_smallest_finite_value(numbers: list[float]) -> None:
    best = Best("m", lower_is_better=True)
    feed(best, numbers)
    finite = [number for number in numbers if math.isfinite(number)]
    assert best.value == (min(finite) if finite else None)
    assert best.step == (numbers.index(min(finite)) + 1 if finite else None)


@given(numbers=values)
def test_higher_is_better_is_lower_is_better_mirrored(numbers: list[float]) -> None:
    lower, higher = Best("m", lower_is_better=True), Best("m", lower_is_better=False)
    assert feed(lower, numbers) == feed(higher, [-number for number in numbers])


@given(numbers=values, cut=st.integers(0, 30), delta=st.floats(0, 10))
def test_a_tracker_taken_up_from_json_goes_on_as_if_nothing_had_been(numbers: list[float], cut: int, delta: float) -> None:
    straight, first, second = (Best("m", True, delta) for _ in range(3))
    expected = feed(straight, numbers)
    start = feed(first, numbers[:cut])
    second.restore(json.loads(json.dumps(first.to_json())))
    rest = [second.update(step, {"m": number}) for step, number in list(enumerate(numbers, start=1))[cut:]]
    assert start + rest == expected
    assert second == straight


def test_only_a_change_beyond_min_delta_counts_and_stale_counts_the_others() -> None:
    best = Best("m", lower_is_better=True, min_delta=0.5)
    assert feed(best, [3.0, 2.6, 2.4, 2.3, 2.1]) == [True, False, True, False, False]
    assert (best.value, best.step, best.stale) == (2.4, 3, 2)


def test_a_missing_metric_names_those_there_are() -> None:
    with pytest.raises(SpecrunError, match="metric-without-value: the evaluation at step 1 yields no 'm'; it yields a, b"):
        Best("m", lower_is_better=True).update(1, {"b": 1.0, "a": 2.0})
    with pytest.raises(SpecrunError, match="it yields none"):
        Best("m", lower_is_better=True).update(1, {})
