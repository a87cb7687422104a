"""Remarks on plans out of proportion: none where the data is enough and the time is short."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from specrun.plan.predict import Facts, Predicted, forecast
from specrun.plan.proportions import LONG_SECONDS, proportion_problems
from specrun.plan.resolve import samples_per_epoch

from .conftest import DOCUMENT, spec_of


def remarks(spec, tokens, *, seconds=1.0, exact=True):
    facts = Facts(tokens, 27, exact=exact, basis="counted")
    found = forecast(spec, facts=facts, history=(), device="d", kind="cpu", cores=2, signature="s")
    found = replace(found, steps={**found.steps, "train": Predicted(seconds)})
    return {problem.code: problem for problem in proportion_problems(spec, found)}


@given(tokens=st.integers(0, 300), batch=st.integers(1, 20), length=st.integers(2, 40))
def test_a_batch_is_remarked_on_where_it_is_larger_than_the_data_and_the_remedy_mends_it(tokens, batch, length):
    def of(batch, length):
        document = {**DOCUMENT, "data": {**DOCUMENT["data"], "sequence_length": length},
                    "schedule": {**DOCUMENT["schedule"], "batch_size": batch}}  # fmt: skip
        return spec_of(document)

    samples = samples_per_epoch(tokens, length)
    found = remarks(of(batch, length), tokens)
    assert set(found) == ({"sequence-exceeds-data"} if samples == 0 else {"batch-exceeds-data"} if batch > samples else set())
    if "batch-exceeds-data" in found:
        assert found["batch-exceeds-data"].severity == "warning"
        remedy = int(found["batch-exceeds-data"].hint.split()[1])
        assert not remarks(of(remedy, length), tokens)


def test_data_that_is_not_known_is_not_judged(spec):
    assert not remarks(spec, None, seconds=None)


def test_a_training_of_more_than_a_day_is_remarked_on(spec):
    assert not remarks(spec, 10_000, seconds=LONG_SECONDS)
    long = remarks(spec, 10_000, seconds=2.0 * LONG_SECONDS)["longer-than-a-day"]
    assert (long.path, long.severity) == (("schedule", "duration"), "warning")
    assert "2d00h" in long.message
    assert "50 %" in long.hint
