"""What other models' trainings let expect of one: a step's overhead and the rate of its work are told apart as far as they can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.past import Past
from specrun.plan.speed import FLOPS_PER_CORE, OVERHEAD_SECONDS, Load, expected_speed

RULE = 2 * FLOPS_PER_CORE
WORK = st.floats(1e6, 1e13)
OVERHEAD = st.floats(5e-4, 1e-2)
RATE = st.floats(RULE / 3, RULE * 3)


def trained(step_work, step_seconds, *, signature="other", steps=1000):
    """A training of so many steps, of so many FLOPs and seconds each."""
    return Past("train", signature, "d", steps * step_work, max(5.0, steps * step_seconds), steps, step_work / step_seconds, 0.0, step_work)


def models(sizes, *, overhead, rate):
    """One training of each of several models, on a device of that overhead and rate."""
    return [trained(work, overhead + work / rate, signature=f"model {work}") for work in sizes]


def speed(history, step_work, *, steps=1000):
    load = Load(steps * step_work, steps, step_work)
    return expected_speed(history, load, device="d", kind="cpu", cores=2, signature="s", devices=1)


def seconds(history, step_work):
    """Of an optimizer step."""
    return step_work / speed(history, step_work).rate


@given(tiny=st.floats(1e6, 2e7), overhead=st.floats(1e-3, 1e-2), more=st.floats(1000, 1e5), runs=st.integers(1, 20))
def test_tiny_models_set_no_rate_for_one_of_far_more_work_a_step(tiny, overhead, more, runs):
    history = [trained(tiny, overhead + tiny / RULE)] * runs
    large = max(tiny * more, 1e10)
    assert seconds(history, large) == pytest.approx(seconds([], large), rel=0.25)
    assert "held" not in speed(history, large).basis


@given(tiny=st.floats(1e6, 2e7), large=st.floats(1e10, 1e12), overhead=OVERHEAD, rate=RATE)
def test_a_slow_device_is_told_from_short_steps_by_a_model_of_long_ones(tiny, large, overhead, rate):
    history = models([tiny, large], overhead=overhead, rate=rate)
    assert seconds(history, 30 * large) == pytest.approx(30 * large / rate, rel=0.2)


@given(overhead=OVERHEAD, rate=RATE, share=st.floats(0, 1))
def test_between_models_that_ran_a_step_lasts_what_overhead_and_rate_make_of_it(overhead, rate, share):
    history = models([3e8, 3e9, 3e10], overhead=overhead, rate=rate)
    step_work = 3e8 * 100**share
    assert seconds(history, step_work) == pytest.approx(overhead + step_work / rate, rel=0.2)


@given(work=WORK, overhead=st.floats(1e-3, 1e-2), rate=RATE)
def test_a_model_of_equal_work_a_step_lasts_as_long(work, overhead, rate):
    took = overhead + work / rate
    assert seconds([trained(work, took)], work) == pytest.approx(took, rel=0.1)


@given(work=st.floats(1e6, 2e7), times=st.floats(0.1, 10), overhead=st.floats(1e-3, 1e-2))
def test_tiny_models_tell_how_long_a_step_of_another_tiny_one_lasts(work, times, overhead):
    assert seconds([trained(work, overhead + work / RULE)], work * times) == pytest.approx(overhead + times * work / RULE, rel=0.15)


@given(work=WORK, steps=st.integers(1, 10**6), evaluation=st.floats(0, 1e13))
def test_evaluations_have_no_steps_overhead(work, steps, evaluation):
    load = Load(steps * work + evaluation, steps, work)
    found = load.work / expected_speed([], load, device="d", kind="cpu", cores=2, signature="s", devices=1).rate
    assert found == pytest.approx(steps * (OVERHEAD_SECONDS + work / RULE) + evaluation / RULE)


@given(st.lists(st.tuples(WORK, st.floats(1e-4, 1e3)), min_size=1, max_size=8), st.lists(WORK, min_size=2, max_size=2))
def test_more_work_a_step_never_makes_it_shorter_nor_the_rate_lower(history, works):
    past = [trained(work, took, signature="one model") for work, took in history]
    less, more = sorted(works)
    assert seconds(past, less) <= seconds(past, more) * (1 + 1e-9)
    assert speed(past, less).rate <= speed(past, more).rate * (1 + 1e-9)
    assert 1 / 4.001 <= seconds(past, less) / seconds([], less) <= 4.001


def test_those_models_count_whose_steps_are_nearest_in_work_and_of_each_its_newest_runs():
    tiny = [trained(1e6 * n, 0.01, signature=f"tiny {n}") for n in range(1, 21)]
    slow = [trained(1e11, 9.0, signature="large")] * 9
    large = [trained(1e11, 2.0, signature="large")] * 5
    found = speed([*slow, *large, *tiny], 1e11)
    assert found.rate == pytest.approx(1e11 / 2.0, rel=0.05)
    assert found.basis == "from 9 earlier runs of 5 other models on this device"


def test_a_run_that_did_not_record_the_work_of_its_steps_tells_nothing_of_another_model():
    of_old = Past("train", "other", "d", 1e12, 100.0, 1000, 1e10)
    assert speed([of_old], 1e9).basis == "by rule: 30 GFLOP/s a core and 3 ms a step"
