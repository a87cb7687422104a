"""Turns quantities into optimizer steps, once the number of training sequences is known or estimated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from specrun.spec.sections.hardware import Hardware
from specrun.spec.sections.schedule import Schedule
from specrun.spec.units import Quantity

EXPECTED_STEPS = 10_000
"""Steps that a duration in time is taken to have where nothing is known of their speed."""
_RESULT_SHARE = 0.05
_RESULT_STEPS = 1000
"""A result is the mean of the last 5 % of the planned steps, of at most so many: each is kept in every checkpoint."""


def result_steps(total_steps: int) -> int:
    """How many of the newest steps a result is the mean of."""
    return min(_RESULT_STEPS, max(1, math.ceil(_RESULT_SHARE * total_steps)))


@dataclass(frozen=True, slots=True)
class ResolvedSchedule:
    """A schedule in optimizer steps. samples_per_epoch: training samples in one pass. sequence_length: predictions of a full sample, such
    as tokens. sample_tokens: predictions of one, in the mean over a pass; None: each has sequence_length. sample_positions: computed for
    one, in the mean; full_positions: for a full one; None: as many as it predicts. checkpoint_every_seconds stands in for
    checkpoint_every_steps where the spec gives a time. duration_seconds: of a duration in time, of which total_steps is an estimate.
    evaluate_every_seconds: where evaluations come by time, or by a share of a duration in time; evaluate_every_steps is an estimate
    then, or None where nothing is known of the speed."""

    samples_per_epoch: int
    batch_size: int
    micro_batch_size: int
    sequence_length: int
    total_steps: int
    warmup_steps: int
    evaluate_every_steps: int | None
    checkpoint_every_steps: int | None
    checkpoint_every_seconds: float | None
    log_every_steps: int
    sample_tokens: float | None = None
    sample_positions: float | None = None
    full_positions: int | None = None
    duration_seconds: float | None = None
    evaluate_every_seconds: float | None = None

    @property
    def tokens_per_step(self) -> int:
        """In the mean over a pass."""
        return round(self.batch_size * self._mean_tokens)

    @property
    def positions_per_step(self) -> int:
        """Computed, in the mean over a pass."""
        return self.tokens_per_step if self.sample_positions is None else round(self.batch_size * self.sample_positions)

    @property
    def total_tokens(self) -> int:
        return round(self.total_steps * self.batch_size * self._mean_tokens)

    @property
    def total_samples(self) -> int:
        return self.total_steps * self.batch_size

    @property
    def _mean_tokens(self) -> float:
        return self.sequence_length if self.sample_tokens is None else self.sample_tokens

    def epoch(self, step: int) -> float:
        """Passes over the training split after `step` optimizer steps."""
        return step * self.batch_size / self.samples_per_epoch


def resolve_schedule(
    schedule: Schedule,
    *,
    samples_per_epoch: int,
    sequence_length: int,
    sample_tokens: float | None = None,
    sample_positions: float | None = None,
    full_positions: int | None = None,
    workers: int = 1,
    expected_steps: int = EXPECTED_STEPS,
    step_seconds: float | None = None,
) -> ResolvedSchedule:
    """Count everything in optimizer steps. samples_per_epoch: at least 1; sequence_length, sample_tokens, sample_positions and
    full_positions: as ResolvedSchedule's; workers: processes that share a batch; expected_steps: of a duration in time; step_seconds:
    expected, where evaluations come by time."""
    assert samples_per_epoch >= 1
    each = sequence_length if sample_tokens is None else sample_tokens

    def steps(quantity: Quantity, total: int | None = None) -> int:
        return count_steps(quantity, schedule.batch_size, samples_per_epoch, each, total)

    duration, every, judged = schedule.duration, schedule.checkpoint.every, schedule.evaluate.every
    lasts = duration.amount if duration.unit == "seconds" else None
    total_steps = steps(duration) if lasts is None else expected_steps
    save_seconds, judge_seconds = _seconds(every, lasts), _seconds(judged, lasts)
    judge_steps = None
    if judged.unit != "seconds":
        judge_steps = steps(judged, total_steps)
    elif step_seconds is not None:
        judge_steps = steps(Quantity(judged.amount / step_seconds, "steps"))
    return ResolvedSchedule(
        samples_per_epoch=samples_per_epoch,
        batch_size=schedule.batch_size,
        micro_batch_size=micro_batch_size(schedule, workers=workers),
        sequence_length=sequence_length,
        total_steps=total_steps,
        warmup_steps=warmup_steps(schedule, steps, total_steps),
        evaluate_every_steps=judge_steps,
        checkpoint_every_steps=None if save_seconds is not None else steps(every, total_steps),
        checkpoint_every_seconds=save_seconds,
        log_every_steps=steps(schedule.log_every),
        sample_tokens=sample_tokens,
        sample_positions=sample_positions,
        full_positions=full_positions,
        duration_seconds=lasts,
        evaluate_every_seconds=judge_seconds,
    )


def _seconds(every: Quantity, lasts: float | None) -> float | None:
    """A distance that is a time, or a share of a duration of so many seconds; None for any other."""
    if every.unit == "seconds":
        return every.amount
    return lasts * every.fraction if lasts is not None and every.unit == "percent" else None


def planned_workers(hardware: Hardware) -> int | None:
    """Processes that train together, as far as the spec alone says; None where it is for the machine to say."""
    if hardware.engine == "local":
        return 1
    return None if hardware.devices == "auto" else hardware.devices * hardware.nodes


def micro_batch_size(schedule: Schedule, *, workers: int = 1) -> int:
    """Samples that each of so many workers computes at once."""
    asked, share = schedule.micro_batch_size, max(1, schedule.batch_size // workers)
    return share if asked == "auto" else min(asked, share)


def warmup_steps(schedule: Schedule, steps: Callable[[Quantity, int], int], total_steps: int) -> int:
    """Optimizer steps of warm-up; 0 where the learning rate has none. steps: counts a quantity in steps, given the total."""
    warmup = getattr(schedule.learning_rate, "warmup", None)
    if warmup is None or warmup.amount == 0:
        return 0
    share = share_of_time(warmup, schedule.duration)
    return steps(warmup if share is None else Quantity(100 * share, "percent"), total_steps)


def share_of_time(length: Quantity, duration: Quantity) -> float | None:
    """The share, from 0, of a duration in time that a length in time or per cent is; None for any other."""
    if duration.unit != "seconds" or length.unit not in ("seconds", "percent"):
        return None
    return length.fraction if length.unit == "percent" else length.amount / duration.amount


def count_steps(quantity: Quantity, batch_size: int, samples_per_epoch: int, sequence_length: float, total_steps: int | None) -> int:
    """Optimizer steps in a quantity, rounded up, at least 1. sequence_length: tokens predicted in a sample; total_steps: what a percentage
    is of."""
    amount = quantity.amount
    match quantity.unit:
        case "steps":
            steps = amount
        case "epochs":
            steps = amount * samples_per_epoch / batch_size
        case "samples":
            steps = amount / batch_size
        case "tokens":
            steps = amount / (batch_size * sequence_length)
        case "percent":
            assert total_steps is not None
            steps = amount / 100 * total_steps
        case unit:
            raise AssertionError(f"{unit} are not steps")
    # A hair below a whole number counts as that number: 0.1 x 30 must be 3 steps, not 4.
    return max(1, math.ceil(round(steps, 6)))


def samples_per_epoch(count: int, sequence_length: int) -> int:
    """Training sequences in one pass over `count` tokens, windows of sequence_length + 1 that share one token with the next.

    One sequence is given up to leave room for the random offset at which each epoch starts, unless it is the only one.
    0: the split is shorter than one sequence. This is a constant of the data, so that steps can be planned.
    """
    return max(0, (count - sequence_length) // sequence_length) or max(0, (count - 1) // sequence_length)
