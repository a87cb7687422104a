"""The `schedule.recovery` section: what is done when an optimizer step does not come out as a number, or does not fit in memory."""

from __future__ import annotations

from typing import Literal

from specrun.spec.section import Section, option


class Recovery(Section):
    """What is done when a step fails. Every rung that is climbed is an alert in the record and in the report."""

    out_of_memory: Literal["halve_micro_batch", "fail"] = option(
        "halve_micro_batch",
        impact="runtime",
        description="What a step that does not fit in memory does: halve_micro_batch computes the same samples anew, half as many at once.",
    )
    non_finite: Literal["skip_then_roll_back", "fail"] = option(
        "skip_then_roll_back",
        impact="weights",
        description="What a loss or gradient of NaN or infinity does: skip_then_roll_back leaves that step's update out, after `skips` of "
        "them in a row goes back to the last good checkpoint and passes over the data in between, then lowers the learning rate. Where "
        "that does not help it goes back further, as far as to the oldest good checkpoint that is kept, and to the start only without one.",
    )
    skips: int = option(3, impact="weights", description="Updates left out in a row before training goes back.", ge=1, le=1000)
    max_rollbacks: int = option(3, impact="runtime", description="How often a run may go back before it fails.", ge=0, le=100)
    learning_rate_factor: float = option(
        0.5,
        impact="weights",
        description="What the learning rate is multiplied by when training goes back again without a good checkpoint in between.",
        gt=0,
        lt=1,
    )
