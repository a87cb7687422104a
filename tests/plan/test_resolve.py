"""Durations in any unit become the same optimizer steps."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.resolve import count_steps, resolve_schedule, samples_per_epoch
from specrun.spec.units import Quantity

from .conftest import DOCUMENT, spec_of


def schedule_of(**values):
    return spec_of({**DOCUMENT, "schedule": {**DOCUMENT["schedule"], **values}}).schedule


@given(st.integers(1, 64), st.integers(1, 512), st.integers(2, 64), st.integers(1, 40))
def test_one_length_said_in_any_unit_is_the_same_number_of_steps(batch, samples, length, steps):
    tokens, sequences = steps * batch * length, steps * batch
    said = [Quantity(steps, "steps"), Quantity(tokens, "tokens"), Quantity(sequences, "samples"), Quantity(sequences / samples, "epochs")]
    assert {count_steps(quantity, batch, samples, length, None) for quantity in said} == {steps}


@given(st.floats(0.01, 100), st.integers(1, 10_000))
def test_a_percentage_is_rounded_up_and_at_least_one_step(percent, total):
    steps = count_steps(Quantity(percent, "percent"), 4, 10, 16, total)
    assert steps >= 1
    assert abs(steps - percent / 100 * total) < 1 or steps == 1


def test_a_share_that_is_whole_but_for_rounding_is_that_whole_number():
    assert count_steps(Quantity(0.1 * 3, "epochs"), 1, 10, 16, None) == 3


def test_an_epoch_is_rounded_up_so_that_every_sample_is_seen():
    assert count_steps(Quantity(1, "epochs"), 4, 10, 16, None) == 3


def test_every_part_of_a_schedule_is_resolved():
    schedule = schedule_of(duration="2 epochs", evaluate={"every": "25%"}, checkpoint={"every": "1 epochs"}, log_every="5 steps",
                           learning_rate={"kind": "warmup_linear", "warmup": "10%"}, micro_batch_size=2)  # fmt: skip
    resolved = resolve_schedule(schedule, samples_per_epoch=40, sequence_length=16)
    assert (resolved.total_steps, resolved.warmup_steps, resolved.evaluate_every_steps) == (20, 2, 5)
    assert (resolved.checkpoint_every_steps, resolved.checkpoint_every_seconds, resolved.log_every_steps) == (10, None, 5)
    assert (resolved.tokens_per_step, resolved.total_tokens, resolved.total_samples) == (64, 1280, 80)
    assert resolved.micro_batch_size == 2
    assert resolved.epoch(10) == 1.0


def test_a_checkpoint_every_so_long_is_kept_as_a_time():
    resolved = resolve_schedule(schedule_of(checkpoint={"every": "10min"}), samples_per_epoch=40, sequence_length=16)
    assert (resolved.checkpoint_every_steps, resolved.checkpoint_every_seconds) == (None, 600)


def test_evaluations_every_so_long_are_kept_as_a_time_and_counted_where_the_speed_is_known():
    schedule = schedule_of(duration="2000 steps", evaluate={"every": "10min"})
    resolved = resolve_schedule(schedule, samples_per_epoch=40, sequence_length=16)
    assert (resolved.evaluate_every_steps, resolved.evaluate_every_seconds) == (None, 600)
    resolved = resolve_schedule(schedule, samples_per_epoch=40, sequence_length=16, step_seconds=1.7)
    assert (resolved.evaluate_every_steps, resolved.evaluate_every_seconds) == (353, 600)


@given(st.integers(1, 99), st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_warm_up_in_time_is_the_same_as_its_share_of_the_duration(percent, seconds, total):
    found = {
        resolve_schedule(
            schedule_of(duration=f"{100 * seconds}s", learning_rate={"kind": "constant", "warmup": warmup}),
            samples_per_epoch=40, sequence_length=16, expected_steps=total,
        ).warmup_steps
        for warmup in (f"{percent}%", f"{percent * seconds}s")
    }  # fmt: skip
    assert len(found) == 1


def test_a_course_without_warm_up_has_none():
    schedule = schedule_of(learning_rate={"kind": "constant"})
    assert resolve_schedule(schedule, samples_per_epoch=40, sequence_length=16).warmup_steps == 0
    percent = schedule_of(learning_rate={"kind": "constant", "warmup": "50%"})
    assert resolve_schedule(percent, samples_per_epoch=40, sequence_length=16).warmup_steps == 10


@given(st.integers(0, 5000), st.integers(2, 300))
def test_the_windows_of_an_epoch_fit_into_the_stream_at_any_start(count, length):
    samples = samples_per_epoch(count, length)
    assert samples >= 0
    if samples:
        assert samples * length + 1 <= count
    else:
        assert count <= length


@pytest.mark.parametrize("unit", ["seconds", "evaluations"])
def test_what_is_no_length_of_training_is_a_broken_invariant(unit):
    with pytest.raises(AssertionError):
        count_steps(Quantity(1, unit), 1, 1, 1, None)
    assert not math.isnan(count_steps(Quantity(1, "steps"), 1, 1, 1, None))
