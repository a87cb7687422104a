"""Courses of the learning rate: a rise to the base rate, then the course of the kind, as pure functions of the step."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
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
@given(total=totals, share=st.floats(0, 0.9), beyond=st.integers(0, 100))
def test_the_final_rate_is_reached_when_the_last_step_is_done_and_stays(kind: str, total: int, share: float, beyond: int) -> None:
    warmup = int(share * total)
    assert factors(kind, total, warmup)[-1] > 0.1
    assert KINDS[kind].factor(total + beyond, warmup_steps=warmup, total_steps=total) == pytest.approx(0.1)


@pytest.mark.parametrize("total", [1, 2, 10, 500])
@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_after_the_warm_up_the_course_is_that_of_transformers(kind: str, total: int) -> None:
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    theirs = {"cosine": get_cosine_schedule_with_warmup, "linear": get_linear_schedule_with_warmup}[kind]
    warmup = total // 5
    course = theirs(torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), warmup, total).lr_lambdas[0]
    ours = KINDS[kind].__class__(kind=KINDS[kind].kind, final_fraction=0.0)
    for step in range(warmup, total):
        assert ours.factor(step, warmup_steps=warmup, total_steps=total) == pytest.approx(course(step), abs=1e-12)


def test_half_way_the_cosine_and_the_line_are_half_way() -> None:
    assert KINDS["cosine"].after_warmup(500, 1000) == pytest.approx(0.55)
    assert KINDS["linear"].after_warmup(500, 1000) == pytest.approx(0.55)
    assert KINDS["cosine"].after_warmup(250, 1000) == pytest.approx(0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi / 4)))


def test_wsd_is_stable_until_its_decay() -> None:
    course = factors("wsd", 1000, 0)
    assert set(course[:801]) == {1.0}
    assert course[801] < 1.0
    assert course[900] == pytest.approx(0.55)
    assert factors("wsd-sqrt", 1000, 0)[625] == pytest.approx(1 - 0.9 * 0.5)


def test_the_constant_is_constant() -> None:
    assert set(factors("constant", 500, 0)) == {1.0}
