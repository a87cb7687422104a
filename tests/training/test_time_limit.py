"""A duration in time: courses go by the share of it that is used, whatever the speed of the steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.spec.units import parse_quantity as q
from specrun.training.learning_rates.warmup_cosine import Options as WarmUpCosine
from specrun.training.time_limit import TimeLimit

COURSE = WarmUpCosine(kind="warmup_cosine", warmup=q("10%"), final_fraction=0.1)


def factor(limit: TimeLimit, step: int) -> float:
    return COURSE.factor(step, warmup_steps=limit.warmup_steps(step, 0), total_steps=limit.total_steps(step))


@given(step=st.integers(100, 10**6), share=st.floats(0.01, 1.0))
def test_a_course_depends_on_the_share_of_time_and_not_on_the_number_of_steps(step: int, share: float) -> None:
    limit = TimeLimit(3600.0, 0.1, spent=3600.0 * share, trained=3600.0 * share)
    total = 10**6
    expected = COURSE.factor(round(share * total), warmup_steps=total // 10, total_steps=total)
    assert factor(limit, step) == pytest.approx(expected, abs=0.02)


def test_a_warm_up_in_steps_stays_one() -> None:
    assert TimeLimit(3600.0, spent=1.0).warmup_steps(7, 500) == 500


def test_at_a_steady_speed_the_number_of_steps_is_foreseen() -> None:
    limit = TimeLimit(100.0)
    for step in range(1, 1000):
        limit.look(step * 0.1, trained=step * 0.1)
        assert limit.foreseen_steps(step) == pytest.approx(1000, abs=1)
        assert limit.total_steps(step) == pytest.approx(1000, abs=1)


@given(step=st.integers(1, 10**4), trained=st.floats(0.01, 1000.0), idle=st.floats(0.0, 2000.0))
def test_time_that_trains_nothing_leaves_the_share_to_the_steps(step: int, trained: float, idle: float) -> None:
    limit, shorter = TimeLimit(3600.0, 0.1), TimeLimit(3600.0 - idle, 0.1)
    limit.look(trained + idle, trained=trained)
    shorter.look(trained, trained=trained)
    assert limit.share == pytest.approx(shorter.share)
    assert limit.warmup_steps(step, 0) == pytest.approx(shorter.warmup_steps(step, 0), abs=1)


def test_a_slow_first_step_foresees_few_and_starts_no_course() -> None:
    limit = TimeLimit(100.0, 0.1)
    limit.look(20.0, trained=0.0)
    assert limit.foreseen_steps(1) == 5
    assert factor(limit, 1) < 1e-4


def test_before_the_first_step_everything_is_ahead() -> None:
    limit = TimeLimit(9 * 3600.0, 0.05)
    assert limit.total_steps(0) > 10**5
    assert 0 < factor(limit, 0) < 1e-4
    assert not limit.reached


def test_room_is_left_for_what_comes_at_the_end() -> None:
    limit = TimeLimit(100.0, reserve=10.0)
    limit.look(89.0, trained=80.0)
    assert not limit.reached
    limit.look(90.5, trained=81.5)
    assert limit.reached
    assert limit.share == 1.0
    limit.reserve = 1.0
    assert limit.reached, "what was shorter than expected gives no further step"


def test_what_ended_by_a_limit_goes_on_under_a_longer_one_alone() -> None:
    limit = TimeLimit(100.0)
    limit.look(100.5, trained=90.0)
    for seconds, over in ((100.0, True), (150.0, False)):
        again = TimeLimit(seconds)
        again.restore(limit.to_json())
        assert (again.reached, again.spent, again.trained) == (over, 100.5, 90.0)
