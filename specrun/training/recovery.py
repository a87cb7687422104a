"""The ladder that a training climbs where a step fails, each rung an alert: what is done next, and how often it has been done.

A step that does not fit in memory is computed again in smaller parts. One whose loss or gradient is not finite has been skipped on the
device already; the host learns of it when it next reads the figures, and does then what it would have done at once. Owns no
checkpoint: going back to one is `session`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

from specrun.errors import SpecrunError
from specrun.plan.figures import plural
from specrun.plan.resolve import ResolvedSchedule
from specrun.runtime.device import Device
from specrun.runtime.distributed import ALONE, Workers
from specrun.runtime.exhaustion import first_line, is_out_of_memory
from specrun.runtime.protocols import Batch
from specrun.spec.nearest import listed
from specrun.spec.sections.recovery import Recovery
from specrun.training.loop import StepStats, TrainState, accumulate, update
from specrun.training.starting_again import StartAgain

Result = TypeVar("Result")
Warn = Callable[[str, str, int], None]
"""Called with the code of an alert, its message and the optimizer step it is about."""

_USUAL_CLIP = 1.0
_SMALLEST_PIECE = 1024
"""An evaluation is divided by this at most: single sequences, by then."""
_AT_A_START = 4
"""Of several processes each further division costs a start of all of them, and the steps since the last checkpoint: so it goes further."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A step whose loss or gradient was not finite. step: counted from 1; gradient_norm: before clipping."""

    step: int
    loss: float
    gradient_norm: float

    def __str__(self) -> str:
        if math.isfinite(self.loss):
            return f"the gradient's norm of step {self.step} is {self.gradient_norm}"
        return f"the loss of step {self.step} is {self.loss}"

    def error(self, tried: str = "", *, warmup_steps: int = 0, gradient_clip: float | None = None) -> SpecrunError:
        """The failure of a run that does not recover from it. tried: what recovery has done before, in words; warmup_steps,
        gradient_clip: what the spec has against it already."""
        longer = "lengthen schedule.learning_rate.warmup" if warmup_steps else "set schedule.learning_rate.warmup: 5%"
        remedies = ["lower schedule.optimizer.learning_rate (a tenth is a good try)", longer]
        if gradient_clip is None:
            remedies.append(f"set schedule.gradient_clip: {_USUAL_CLIP}")
        elif gradient_clip > _USUAL_CLIP:
            remedies.append(f"lower schedule.gradient_clip from {gradient_clip:g} to {_USUAL_CLIP}")
        return SpecrunError(f"{self}{tried}", code="non-finite-gradient" if math.isfinite(self.loss) else "non-finite-loss",
                            hint=listed(remedies))  # fmt: skip


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where training is to go on from. newest_step: of the newest checkpoint that counts as good, if one is kept from so early;
    position: the first batch that is not passed over; fault: what brought it about."""

    newest_step: int
    position: int
    fault: Fault


@dataclass(slots=True)
class Climb:
    """How far a run has climbed, as its checkpoints keep it. rollbacks: how often it went back; lowered: how often the learning rate
    was lowered.

    bad_step: the last step that it had come to when it went back; target_step: that which it went back to last. row_start, row_end:
    the newest row of skipped steps. micro_batch_size: the one that fits, once one did not; divided: as the pieces of evaluations are.
    """

    rollbacks: int = 0
    lowered: int = 0
    bad_step: int = 0
    target_step: int = 0
    row_start: int = 0
    row_end: int = -1
    micro_batch_size: int | None = None
    divided: int = 1


@dataclass(slots=True)
class Ladder:
    """Decides what is done about the steps that failed, and tells of each rung."""

    options: Recovery
    warn: Warn
    schedule: ResolvedSchedule
    climb: Climb = field(default_factory=Climb)

    def judge(self, faults: Sequence[Fault], state: TrainState) -> WayBack | None:
        """Take in the steps that were skipped since the last look. Returns the way back, where there were too many in a row.

        Raises: SpecrunError where recovery is off, or has done all that it may.
        """
        if faults and self.options.non_finite == "fail":
            raise self._failure(faults[0], state)
        at, most = self.climb, min(self.options.skips, self.schedule.total_steps)
        for number, fault in enumerate(faults, start=1):
            at.row_start = at.row_start if fault.step == at.row_end + 1 else fault.step
            at.row_end = fault.step
            if at.row_end - at.row_start + 1 >= most:
                self._tell_skipped(faults[:number])
                return self._way_back(fault, state)
        self._tell_skipped(faults)
        return None

    def good_step(self, step: int) -> int | None:
        """The newest step that training would go back to if the steps after this one failed too; None where this one did not."""
        at = self.climb
        if at.row_end == step:
            return at.row_start - 1
        return at.target_step - 1 if at.rollbacks and at.target_step == step else None

    def gone_back(self, state: TrainState, way: WayBack, before: Climb) -> None:
        """Make of a state as it was saved the one to go on with. before: how far it had climbed when it was saved."""
        at, step = self.climb, way.fault.step
        again = at.rollbacks > 0 and state.step <= at.bad_step
        first, state.position = state.position, way.position
        at.rollbacks, at.lowered = at.rollbacks + 1, at.lowered + again
        state.rate_factor *= self.options.learning_rate_factor ** (at.lowered - before.lowered)
        row = f"{way.fault}, the last of {at.row_end - at.row_start + 1} skipped in a row"
        self.warn("rolled-back", f"{row}; training goes back to step {state.step} and passes over "
                  f"batches {first + 1} to {way.position}", step)  # fmt: skip
        if again:
            self.warn("learning-rate-lowered", f"training went back without a good checkpoint since the last time; the learning rate is "
                      f"{state.rate_factor:g} of the schedule's from step {state.step} on", step)  # fmt: skip
        at.bad_step, at.target_step, at.row_start, at.row_end = max(at.bad_step, step), state.step, 0, -1

    def halve(self, state: TrainState, batch: Batch, reason: str) -> tuple[str, str]:
        """Compute half as much at once from now on. reason: what the allocator said. Returns the alert's code and message. Sizes are told
        in sequences of full length: of shorter documents, more are computed at once.

        Raises: SpecrunError where that cannot be.
        """
        size = min(state.micro_batch_size, sum(1 for _ in batch.split(1)))
        what = f"a micro-batch of {size} does not fit in memory at step {state.step + 1}"
        if size == 1:
            hint = f"set data.sequence_length: {max(1, self.schedule.sequence_length // 2)}, or make the model smaller"
            raise SpecrunError(f"{what}: {reason}", code="out-of-memory", hint=hint)
        if self.options.out_of_memory == "fail":
            hint = f"set schedule.micro_batch_size: {size // 2}"
            raise SpecrunError(f"{what}: {reason}", code="out-of-memory", hint=hint)
        state.micro_batch_size = self.climb.micro_batch_size = size // 2
        alert = "out-of-memory", f"{what}; the same batch is computed {plural(size // 2, 'sequence')} at a time from here on"
        self.warn(*alert, state.step + 1)
        return alert

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return asdict(self.climb)

    def restore(self, document: Mapping[str, Any], state: TrainState) -> None:
        """Take up what a checkpoint kept."""
        self.climb = Climb(**document)
        if self.climb.micro_batch_size is not None:
            state.micro_batch_size = min(state.micro_batch_size, self.climb.micro_batch_size)

    def _failure(self, fault: Fault, state: TrainState, tried: str = "") -> SpecrunError:
        return fault.error(tried, warmup_steps=self.schedule.warmup_steps, gradient_clip=state.gradient_clip)

    def _way_back(self, fault: Fault, state: TrainState) -> WayBack:
        at = self.climb
        if at.rollbacks >= self.options.max_rollbacks:
            times = "once" if at.rollbacks == 1 else f"{at.rollbacks} times"
            factor = self.options.learning_rate_factor**at.lowered
            lowered = f", at last with {factor:g} of the learning rate" if at.lowered else ""
            raise self._failure(fault, state, f", after training went back {times}{lowered}" if at.rollbacks else "")
        # Where no step counted since it went back, what it went back to may not have been good.
        no_step_counted = at.rollbacks > 0 and at.row_start == at.target_step + 1
        return WayBack(at.target_step - 1 if no_step_counted else at.row_start - 1, state.position - (state.step - fault.step), fault)

    def _tell_skipped(self, faults: Sequence[Fault]) -> None:
        if faults:
            more = f"; so were {len(faults) - 1} more up to step {faults[-1].step}" if len(faults) > 1 else ""
            self.warn("step-skipped", f"{faults[0]}; its update was left out{more}", faults[0].step)


def batch_that_fits(take: Callable[[], Batch], device: Device) -> Batch:
    """What `take` gives. It is asked once more where memory did not suffice: a batch is gathered beside the step before it, whose
    activations are gone by now.

    Raises: SpecrunError `out-of-memory` where memory does not suffice for it alone.
    """
    if not isinstance(outcome := _attempt(take), _NoRoom):
        return outcome
    device.free_cached_memory()
    if isinstance(outcome := _attempt(take), _NoRoom):
        raise SpecrunError(f"a batch does not fit in memory beside the model: {outcome.reason}", code="out-of-memory",
                           hint="halve schedule.batch_size, or make the model smaller")  # fmt: skip
    return outcome


def train_step_that_fits(state: TrainState, batch: Batch, ladder: Ladder) -> StepStats:
    """`loop.train_step`, with the same samples computed again in smaller parts where they do not fit in memory.

    That is so for losses and gradients. The update cannot be made again once it has moved some of the weights: what it makes room for,
    which is the optimizer's state in its first step and passing copies of a few tensors later, fits or ends the run.

    Raises: SpecrunError `out-of-memory` where nothing smaller is left or asked for; StartAgain where other workers wait for this one.
    """
    while isinstance(outcome := _attempt(partial(accumulate, state, batch)), _NoRoom):
        state.optimizer.zero_grad(set_to_none=True)
        state.device.free_cached_memory()
        alert = ladder.halve(state, batch, outcome.reason)
        if state.parallel.root is not None:
            size = state.micro_batch_size
            raise StartAgain(f"{outcome.reason}; {plural(size, 'sequence')} at a time from here on", alert=alert, micro_batch_size=size)
    return update(state, outcome)


def evaluate_what_fits(
    evaluate: Callable[..., Result], *, device: Device, warn: Callable[[str, str], None], workers: Workers = ALONE, divided: int = 1
) -> tuple[Result, int]:
    """What `evaluate` returns, in smaller pieces where they do not fit in memory, and by what they are divided. It is called with that
    as `divided`.

    Raises: SpecrunError `out-of-memory` where no smaller piece fits either; StartAgain where other workers wait for this one: they are
    past the place where it failed, or speak of parameters that it has not asked for.
    """
    while isinstance(outcome := _attempt(partial(evaluate, divided=divided)), _NoRoom):
        device.free_cached_memory()
        if divided >= _SMALLEST_PIECE:
            raise SpecrunError(f"an evaluation does not fit in memory: {outcome.reason}", code="out-of-memory",
                               hint="halve data.sequence_length, or make the model smaller")  # fmt: skip
        divided = min(_SMALLEST_PIECE, divided * (2 if workers.size == 1 else _AT_A_START))
        alert = "out-of-memory", f"an evaluation does not fit in memory; from here on 1/{divided} as much as usual is computed at once"
        warn(*alert)
        if workers.size > 1:
            raise StartAgain(f"{outcome.reason}; evaluations compute 1/{divided} as much at once from here on",
                             alert=alert, divided=divided)  # fmt: skip
    return outcome, divided


def examples_that_fit(
    write: Callable[[], list[dict[str, Any]]], *, warn: Callable[[str, str], None], together: bool = False
) -> list[dict[str, Any]]:
    """What `write` gives to look at; nothing, and an alert, where memory does not suffice: it is no reason to end a training.

    together: other workers are in the midst of the same and cannot leave it. Raises: SpecrunError `out-of-memory` where they are.
    """
    if not isinstance(outcome := _attempt(write), _NoRoom):
        return outcome
    what = "what is to be written for the samples of an evaluation does not fit in memory"
    if together:
        raise SpecrunError(f"{what}: {outcome.reason}", code="out-of-memory", hint="set schedule.evaluate.samples: 0")
    warn("out-of-memory", f"{what}; they are left out: {outcome.reason}")
    return []


@dataclass(frozen=True, slots=True)
class _NoRoom:
    """What was said where memory did not suffice."""

    reason: str


def _attempt(compute: Callable[[], Result]) -> Result | _NoRoom:
    """What `compute` returns, if there is memory for it. With the return, the frames of what failed are gone, and the tensors in them."""
    try:
        return compute()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _NoRoom(first_line(error))
