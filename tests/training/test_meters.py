"""Figures between log intervals: means over all steps of the interval, one transfer, the bad steps named."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.resolve import result_steps
from specrun.runtime.device import Device
from specrun.training.loop import StepStats
from specrun.training.meters import Meter, Stopwatch

floats = st.floats(-1e3, 1e3, width=32)


def device() -> Device:
    return Device("cpu", torch.device("cpu"), torch.float32)


def stats(loss: float, norm: float = 1.0) -> StepStats:
    return StepStats(torch.tensor(loss), torch.tensor(norm), 0.1)


@given(losses=st.lists(floats, min_size=1, max_size=20))
def test_an_interval_is_its_mean_in_one_transfer(losses: list[float]) -> None:
    meter, place = Meter(), device()
    for loss in losses:
        meter.add(stats(loss, norm=2 * loss))
    assert not meter.read(place)
    figures = meter.take()
    assert figures["train/loss"] == pytest.approx(math.fsum(losses) / len(losses))
    assert figures["train/gradient_norm"] == pytest.approx(2 * figures["train/loss"])
    assert place.syncs == 1


@given(losses=st.lists(floats, min_size=2, max_size=20), cut=st.integers(1, 19))
def test_an_interval_cut_by_a_checkpoint_has_the_same_mean_to_the_bit(losses: list[float], cut: int) -> None:
    straight, first, place = Meter(), Meter(), device()
    for loss in losses:
        straight.add(stats(loss))
    for loss in losses[:cut]:
        first.add(stats(loss))
    first.read(place)
    second = Meter.from_json(json.loads(json.dumps(first.to_json())), newest=first.newest)
    for loss in losses[cut:]:
        second.add(stats(loss))
    second.learning_rate = straight.learning_rate
    second.read(place)
    straight.read(place)
    assert second.take() == straight.take()


@given(
    losses=st.lists(floats, min_size=1, max_size=40), newest=st.integers(1, 50), logs=st.sets(st.integers(1, 40)), cut=st.integers(0, 40)
)
def test_the_result_is_the_mean_of_the_newest_steps_however_often_is_logged_or_saved(
    losses: list[float], newest: int, logs: set[int], cut: int
) -> None:
    meter, place = Meter(newest=newest), device()
    for number, loss in enumerate(losses, start=1):
        meter.add(stats(loss, norm=3 * loss))
        if number in logs:
            meter.read(place)
            meter.take()
        if number == cut:
            meter.read(place)
            meter = Meter.from_json(json.loads(json.dumps(meter.to_json())), newest=newest)
    meter.read(place)
    tail = losses[-newest:]
    assert meter.result() == {
        "train/loss": math.fsum(tail) / len(tail), "train/learning_rate": 0.1,
        "train/gradient_norm": math.fsum(stats(3 * loss).loss.item() for loss in tail) / len(tail),
    }  # fmt: skip


@pytest.mark.parametrize(("total", "steps"), [(1, 1), (20, 1), (21, 2), (2000, 100), (10**6, 1000)])
def test_a_result_is_of_the_last_twentieth_of_the_steps_at_most_a_thousand(total: int, steps: int) -> None:
    assert result_steps(total) == steps


def test_a_mean_over_steps_is_one_over_their_tokens() -> None:
    meter, place = Meter(newest=2), device()
    for loss, tokens in ((9.0, 5), (1.0, 30), (4.0, 10)):
        meter.add(replace(stats(loss, norm=loss), tokens=tokens))
    meter.read(place)
    again = Meter.from_json(json.loads(json.dumps(meter.to_json())), newest=2)
    assert again.take() == meter.take() == {
        "train/loss": pytest.approx((45 + 30 + 40) / 45), "train/learning_rate": 0.1, "train/gradient_norm": pytest.approx(14 / 3),
    }  # fmt: skip
    assert again.result()["train/loss"] == pytest.approx((30 + 40) / 40)


@pytest.mark.parametrize(
    ("loss", "norm", "code"),
    [(math.nan, 1.0, "non-finite-loss"), (math.inf, 1.0, "non-finite-loss"), (1.0, math.inf, "non-finite-gradient")],
)
def test_the_steps_that_are_not_finite_are_named_and_have_no_part_in_the_means(loss: float, norm: float, code: str) -> None:
    meter, place = Meter(newest=2), device()
    for _ in range(3):
        meter.add(stats(1.0))
    assert not meter.read(place)
    meter.take()
    for it in (stats(2.0), stats(loss, norm), stats(4.0), stats(math.nan)):
        meter.add(it)
    faults = meter.read(place)
    assert [fault.step for fault in faults] == [5, 7]
    assert faults[0].error().code == code
    assert f"of step 5 is {loss if code == 'non-finite-loss' else norm}" in str(faults[0])
    meter = Meter.from_json(json.loads(json.dumps(meter.to_json(), allow_nan=False)), newest=2)
    figures = meter.take()
    assert (figures["train/loss"], figures["recovery/skipped_steps"]) == (3.0, 2.0)
    assert meter.result()["train/loss"] == 3.0
    assert meter.first_step == 7


def test_an_interval_in_which_no_step_counted_is_flagged() -> None:
    meter, place = Meter(), device()
    meter.add(stats(math.inf))
    assert len(meter.read(place)) == 1
    figures = meter.take()
    assert math.isnan(figures["train/loss"])
    assert figures["train/learning_rate"] == 0.1


def test_an_overflow_of_a_scaled_gradient_does_not_count_and_is_no_fault() -> None:
    meter, place = Meter(), device()
    for it in (stats(1.0), stats(1.0, math.inf), stats(math.nan)):
        meter.add(replace(it, scaled=True))
    assert [fault.step for fault in meter.read(place)] == [3]
    assert meter.take()["recovery/skipped_steps"] == 2.0


def test_time_between_pause_and_start_is_not_counted() -> None:
    now = [0.0]
    watch = Stopwatch(lambda: now[0], total=5.0)
    for seconds, counted in ((2.0, True), (100.0, False), (4.0, True)):
        now[0] += seconds
        if counted:
            watch.count_step()
            watch.pause()
        else:
            watch.start()
    assert watch.take() == pytest.approx(3.0)
    assert watch.total == pytest.approx(11.0)


def test_the_share_of_time_waited_for_batches_is_of_the_interval_and_of_the_whole() -> None:
    now = [0.0]
    watch = Stopwatch(lambda: now[0], total=10.0, waited=1.0)
    shares = []
    for waited, computed in ((1.0, 3.0), (0.0, 4.0), (2.0, 0.0)):
        with watch.waiting():
            now[0] += waited
        now[0] += computed
        watch.count_step()
        watch.take()
        shares.append(watch.wait_share)
    assert shares == [0.25, 0.0, 1.0]
    assert watch.total_wait_share == pytest.approx(4.0 / 20.0)
    assert Stopwatch().total_wait_share == 0.0
