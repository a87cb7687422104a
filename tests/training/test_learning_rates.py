"""Courses of the learning rate: a rise to the base rate, then the course of the kind, as pure functions of the step."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.units import parse_quantity as q
from specrun.training.learning_rates import constant, warmup_cosine, warmup_linear, wsd

KINDS: dict[str, Any] = {
    "constant": constant.Options(kind="constant"),
    "cosine": warmup_cosine.Options(kind="warmup_cosine", final_fraction=0.1),
    "linear": warmup_linear.Options(kind="warmup_linear", final_fraction=0.1),
    "wsd": wsd.Options(kind="wsd", final_fraction=0.1),
    "wsd-sqrt": wsd.Options(kind="wsd", final_fraction=0.1, decay_shape="sqrt", decay=q("50%")),
}
totals = st.integers(1, 3000)


def factors(kind: str, total: int, warmup: int) -> list[float]:
    return [KINDS[kind].factor(step, warmup_steps=warmup, total_steps=total) for step in range(total)]


@pytest.mark.parametrize("kind", KINDS)
@given(total=totals, share=st.floats(0, 0.9))
def test_a_factor_is_above_zero_and_at_most_one(kind: str, total: int, share: float) -> None:
    assert all(0 < factor <= 1 for factor in factors(kind, total, int(share * total)))


@pytest.mark.parametrize("kind", KINDS)
@given(total=st.integers(10, 1000), share=st.floats(0.05, 0.9))
def test_the_warm_up_rises_in_equal_steps_to_the_base_rate(kind: str, total: int, share: float) -> None:
    warmup = max(1, int(share * total))
    rise = factors(kind, total, warmup)[:warmup]
    assert rise == pytest.approx([(step + 1) / warmup for step in range(warmup)])


@pytest.mark.parametrize("kind", KINDS)
@given(total=totals, share=st.floats(0, 0.9))
def test_after_the_warm_up_it_never_rises(kind: str, total: int, share: float) -> None:
    warmup = int(share * total)
    rest = factors(kind, total, warmup)[warmup:]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(rest))


DECAYING = ["cosine", "linear", "wsd", "wsd-sqrt"]


@pytest.mark.parametrize("kind", DECAYING)
@given(total=st.integers(2, 3000), share=st.floats(0, 0.9))
def test_the_last_step_has_the_final_rate_and_beyond_it_the_rate_stays(kind: str, total: int, share: float) -> None:
    warmup = min(total - 2, int(share * total))
    assert factors(kind, total, warmup)[-1] == 0.1
    assert KINDS[kind].factor(2 * total, warmup_steps=warmup, total_steps=total) == 0.1


@pytest.mark.parametrize("kind", DECAYING)
@given(total=st.integers(2, 3000), share=st.floats(0, 0.9))
def test_the_final_rate_is_that_of_the_last_step_alone(kind: str, total: int, share: float) -> None:
    warmup = min(total - 2, int(share * total))
    assert min(factors(kind, total, warmup)[warmup:-1]) > 0.1


@pytest.mark.parametrize("kind", KINDS)
@given(warmup=st.integers(0, 50))
def test_a_single_step_after_the_warm_up_has_the_base_rate(kind: str, warmup: int) -> None:
    assert factors(kind, warmup + 1, warmup)[-1] == 1.0


def test_half_way_the_cosine_and_the_line_are_half_way() -> None:
    assert KINDS["cosine"].after_warmup(500, 1001) == pytest.approx(0.55)
    assert KINDS["linear"].after_warmup(500, 1001) == pytest.approx(0.55)
    assert KINDS["cosine"].after_warmup(250, 1001) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_wsd_is_stable_until_its_decay() -> None:
    course = factors("wsd", 1000, 0)
    assert set(course[:800]) == {1.0}
    assert course[800] < 1.0
    assert course[899] == pytest.approx(0.55)
    assert factors("wsd-sqrt", 1000, 0)[624] == pytest.approx(1 - 0.9 * 0.5)


def test_the_constant_is_constant() -> None:
    assert set(factors("constant", 500, 0)) == {1.0}
