"""Predictions: closed forms where there is no history, history where there is, and never more exact than their basis."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.past import Past
from specrun.plan.predict import START_SECONDS, Facts, forecast, step_signature, training_signature
from specrun.plan.speed import FLOPS_PER_CORE, FLOPS_PER_GPU, OVERHEAD_SECONDS

from .conftest import DOCUMENT, spec_of

RULE = 2 * FLOPS_PER_CORE
KNOWN = Facts(10_000, 27, exact=True, basis="counted", evaluation_tokens=1000)


def predict(spec, facts=KNOWN, history=(), *, kind="cpu", signature="s"):
    return forecast(spec, facts=facts, history=history, device="d", kind=kind, cores=2, signature=signature)


def computing(found):
    """Seconds of a predicted training without its start."""
    return found.steps["train"].seconds - START_SECONDS


def work_of(found):
    """FLOPs of a training with its evaluations."""
    schedule = found.schedule
    evaluations = -(-schedule.total_steps // schedule.evaluate_every_steps)
    return found.cost.flops_per_token * (schedule.total_tokens + found.facts.evaluation_tokens * evaluations / 3)


def trained(signature, rate, *, steps=100, seconds=10.0, device="d", step_work=None):
    """A training that went at so many FLOPs a second. step_work: FLOPs of its steps, where these are not all that it did."""
    each = rate * seconds / steps if step_work is None else step_work
    return Past("train", signature, device, work=rate * seconds, seconds=seconds, steps=steps, rate=rate, step_work=each)


def with_schedule(**values):
    return spec_of({**DOCUMENT, "schedule": {**DOCUMENT["schedule"], **values}})


def test_without_history_the_time_is_flops_over_the_stated_rate_and_each_steps_overhead(spec):
    found, on_gpu = predict(spec), predict(spec, kind="cuda")
    overhead = found.schedule.total_steps * OVERHEAD_SECONDS
    assert computing(found) == pytest.approx(work_of(found) / RULE + overhead)
    assert found.steps["train"].basis == "by rule: 30 GFLOP/s a core and 3 ms a step"
    assert computing(on_gpu) == pytest.approx(work_of(found) / FLOPS_PER_GPU + overhead)
    assert on_gpu.steps["train"].basis == "by rule: 20 TFLOP/s a device and 3 ms a step"


def test_the_memory_of_a_training_is_the_sum_of_its_terms(spec):
    found = predict(spec)
    assert found.steps["train"].memory_bytes == found.memory.total


def test_history_of_the_same_training_beats_that_of_another_and_both_beat_the_rule(spec):
    known = replace(KNOWN, evaluation_tokens=0)
    found = predict(spec, known)
    flops, rate = work_of(found), work_of(found) / computing(found) / 2
    other = trained("other", rate, step_work=found.flops / found.schedule.total_steps)
    same, elsewhere = trained("s", RULE / 50), trained("s", RULE * 9, device="another device")
    assert predict(spec, known, [elsewhere]).steps["train"].basis.startswith("by rule")
    by_other = predict(spec, known, [other, elsewhere])
    assert computing(by_other) == pytest.approx(flops / rate, rel=0.05)
    assert by_other.steps["train"].basis == "from 1 earlier run of another model on this device"
    by_same = predict(spec, known, [same, other, other])
    assert computing(by_same) == pytest.approx(flops / (RULE / 50))
    assert by_same.steps["train"].basis == "from 1 earlier run"


def test_history_is_a_median_of_the_newest_five(spec):
    history = [trained("s", rate * 1e9) for rate in (100, 1, 2, 3, 4, 5)]
    found = predict(spec, history=history)
    assert computing(found) == pytest.approx(work_of(found) / 3e9)
    assert found.steps["train"].basis == "from 5 earlier runs"


@given(steps=st.integers(1, 200), seconds=st.floats(0.1, 20), rate=st.floats(1e6, 1e13))
def test_a_short_training_tells_nothing_of_another_model(steps, seconds, rate):
    spec = spec_of(DOCUMENT)
    found = predict(spec, history=[trained("other", rate, steps=steps, seconds=seconds)])
    assert found.steps["train"].basis.startswith("by rule" if steps < 50 or seconds < 5 else "from 1 earlier run of another model")


@given(rates=st.lists(st.floats(1e6, 1e13), min_size=1, max_size=6))
def test_the_rate_of_another_model_strays_at_most_four_times_from_the_rule_and_says_where_it_is_held(rates):
    spec = spec_of(DOCUMENT)
    found = predict(spec, history=[trained("other", rate) for rate in rates])
    by_rule, by_others = computing(predict(spec)), computing(found)
    assert by_rule / 4.001 <= by_others <= by_rule * 4.001
    held = by_others == pytest.approx(by_rule / 4) or by_others == pytest.approx(by_rule * 4)
    assert ("times the rule" in found.steps["train"].basis) <= held


@pytest.mark.parametrize(("times", "basis"), [(4, "from 1 earlier run"), (5, "by rule: 30 GFLOP/s a core and 3 ms a step")])
def test_a_short_training_tells_of_the_same_training_of_about_its_length_only(times, basis):
    flops = work_of(predict(with_schedule(duration="12 steps")))
    short = Past("train", "s", "d", work=flops / (times - 0.5), seconds=1.0, steps=3)
    assert predict(with_schedule(duration="12 steps"), history=[short]).steps["train"].basis == basis


def past_of(kind, spec, text_bytes, seconds):
    return Past(kind, step_signature(kind, spec, training="s"), "d", text_bytes, seconds)


@pytest.mark.parametrize("kind", ["data", "tokenizer", "tokens", "evaluate"])
def test_other_steps_take_what_such_steps_took_on_about_as_much_text(spec, kind):
    facts = replace(KNOWN, text_bytes=10_000)
    alike = [past_of(kind, spec, size, seconds) for size, seconds in ((5_000, 1.0), (10_000, 2.0), (20_000, 9.0))]
    larger = [past_of(kind, spec, 20_001, 99.0)] * 9
    of_other_settings = [Past(kind, "other", "d", 10_000, 77.0)] * 9
    found = predict(spec, facts, [*alike, *larger, *of_other_settings]).steps
    assert (found[kind].seconds, found[kind].basis) == (2.0, "from 3 earlier runs")
    others = {"data", "tokenizer", "tokens", "evaluate"} - {kind}
    assert all(found[other].seconds is None for other in others)


@pytest.mark.parametrize("text_bytes", [None, 10_000])
def test_a_figure_of_other_data_says_that_it_is(spec, text_bytes):
    history = [past_of("data", spec, 10**9, 60.0), Past("data", "key of old", "d", 0.0, 60.0)]
    found = predict(spec, replace(KNOWN, text_bytes=text_bytes), history).steps["data"]
    assert (found.seconds, found.basis) == (60.0, "from 2 earlier runs on other data or settings")


def test_a_report_takes_what_reports_took_whatever_the_data(spec):
    found = predict(spec, history=[past_of("report", spec, 10**9, 3.0)]).steps["report"]
    assert (found.seconds, found.basis) == (3.0, "from 1 earlier run")


@given(last=st.integers(2, 9), best=st.integers(1, 9), steps=st.integers(3, 40), every=st.integers(1, 50), evaluate=st.integers(1, 50))
def test_the_disk_of_a_training_is_that_of_the_checkpoints_it_keeps(last, best, steps, every, evaluate):
    checkpoint = {"every": f"{every} steps", "keep_last": last, "keep_best": best}
    found = predict(with_schedule(duration=f"{steps} steps", checkpoint=checkpoint, evaluate={"every": f"{evaluate} steps"}))
    saved, evaluated = -(-steps // every), -(-steps // evaluate)
    newest = min(last, saved)
    expected = found.cost.parameters * (12 * newest + 4 * min(max(best, newest), evaluated))
    assert found.steps["train"].disk_bytes == expected


def test_epochs_of_unknown_data_are_not_guessed():
    unknown = Facts(None, None, exact=False, basis="unknown until the data has been read")
    found = predict(with_schedule(duration="2 epochs"), unknown)
    assert found.schedule is None
    assert found.flops is None
    assert found.steps["train"].seconds is None
    assert found.steps["train"].basis == unknown.basis
    assert predict(with_schedule(duration="50 steps"), unknown).schedule.total_steps == 50


@given(st.integers(16, 10**7), st.integers(1, 400))
def test_twice_the_steps_are_twice_the_flops(tokens, steps):
    facts = Facts(tokens, 27, exact=True, basis="counted")
    once, twice = (predict(with_schedule(duration=f"{n} steps"), facts) for n in (max(3, steps), 2 * max(3, steps)))
    assert twice.flops == pytest.approx(2 * once.flops)


def test_the_signature_tells_trainings_of_other_cost_apart(spec):
    base = training_signature({"width": 1}, spec, 27)
    assert base == training_signature({"width": 1}, spec, 27)
    others = {
        training_signature({"width": 2}, spec, 27),
        training_signature({"width": 1}, spec, 28),
        training_signature({"width": 1}, with_schedule(batch_size=8), 27),
        training_signature({"width": 1}, with_schedule(optimizer={"kind": "muon"}), 27),
        training_signature({"width": 1}, spec_of({**DOCUMENT, "data": {**DOCUMENT["data"], "sequence_length": 8}}), 27),
    }
    assert len(others | {base}) == 6


@given(every=st.floats(0.001, 10.0), steps=st.integers(100, 10_000))
def test_evaluations_by_time_are_counted_at_the_speed_to_expect(every, steps):
    found = predict(with_schedule(duration=f"{steps} steps", evaluate={"every": f"{every:f}s"}))
    flops = found.cost.flops_per_token * found.schedule.tokens_per_step
    pace = flops / RULE + OVERHEAD_SECONDS
    assert found.schedule.evaluate_every_steps == pytest.approx(every / pace, abs=1.01)
    assert computing(found) == pytest.approx(work_of(found) / RULE + steps * OVERHEAD_SECONDS)


def test_within_a_duration_in_time_evaluations_by_time_leave_their_time_to_no_step():
    facts = replace(KNOWN, evaluation_tokens=10**6)
    found = predict(with_schedule(duration="1h", evaluate={"every": "60s"}), facts)
    alone = predict(with_schedule(duration="1h", evaluate={"every": "60min"}), replace(KNOWN, evaluation_tokens=0))
    pace = 3600 / alone.schedule.total_steps
    evaluation = pace * facts.evaluation_tokens / 3 / found.schedule.tokens_per_step
    assert found.schedule.total_steps == pytest.approx(alone.schedule.total_steps * 60 / (60 + evaluation), rel=0.02)
    assert found.steps["train"].seconds == START_SECONDS + 3600
