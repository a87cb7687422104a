"""Remarks on a plan that is out of proportion: a batch larger than the data, a training of more than a day."""

from __future__ import annotations

from collections.abc import Iterator

from specrun.plan import figures
from specrun.plan.predict import Facts, Forecast
from specrun.spec.document import Spec
from specrun.spec.section import Problem

LONG_SECONDS = 24 * 3600
"""A training that is expected to take longer is remarked on."""


def proportion_problems(spec: Spec, forecast: Forecast) -> Iterator[Problem]:
    """Warnings about the training as planned; of data that is not known yet, none."""
    facts, seconds = forecast.facts, forecast.steps["train"].seconds
    if facts.train_tokens is not None:
        yield from _too_little_data(spec, facts, tokens=facts.train_tokens, about="" if facts.exact else "about ")
    if seconds is not None and seconds > LONG_SECONDS and spec.schedule.duration.unit != "seconds":
        share = LONG_SECONDS / seconds
        hint = f"for a day, ask for at most {share * 100:.2g} % of schedule.duration, or for a smaller model or data.sequence_length"
        fact = f"the training is expected to take {figures.seconds(seconds)} ({forecast.steps['train'].basis})"
        yield Problem(("schedule", "duration"), "longer-than-a-day", fact, hint, severity="warning")


def _too_little_data(spec: Spec, facts: Facts, *, tokens: int, about: str) -> Iterator[Problem]:
    length, batch = spec.task.sample_length(spec), spec.schedule.batch_size
    samples = facts.samples(length)
    of_stream = "documents" if spec.data.packing == "documents" else "sequences"
    noun = of_stream if "tokens" in spec.task.prepared_by else "samples"
    if samples == 0:
        fact = f"a sequence of {spec.task.sample_positions(spec):,} tokens is longer than the training split, which has {about}{tokens:,}"
        yield Problem(("data", "sequence_length"), "sequence-exceeds-data", fact, f"use {max(1, tokens // 10)} or less", severity="warning")
    elif batch > samples:
        fact = f"a batch of {batch:,} {noun} is larger than the training split, which has {about}{samples:,}: it holds some repeatedly"
        yield Problem(("schedule", "batch_size"), "batch-exceeds-data", fact, f"use {max(1, samples // 10)} or less", severity="warning")
