"""How many samples to compute at once: the largest sizes that fit, by trial, and the fastest among those.

Tried eagerly, also where the training is compiled: each size would be compiled anew, which takes longer than the trial. What fits does
compiled too, as a rule in less; which size is the fastest may then be another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from specrun.runtime.exhaustion import is_out_of_memory
from specrun.runtime.protocols import Batch
from specrun.training.checkpoints import step_tensors
from specrun.training.finders.trial import trial
from specrun.training.loop import TrainState, train_step

TIMED_SIZES = 3
"""So many of the largest that fit are timed: below, a device only has less to do at once."""
LEVEL = 0.02
"""Of sizes whose times differ by no more than this share, the largest is taken."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A size that was tried. peak_bytes: most memory used; None where it does not fit. seconds: of an optimizer step on the whole batch,
    the best of several; None where it was not timed. beyond_bytes: what it takes where that is more than there is room for; None where it
    fits, and where the device had not even that much."""

    size: int
    peak_bytes: int | None
    seconds: float | None = None
    beyond_bytes: int | None = None


def measure_sizes(
    state: TrainState, whole: Batch, sizes: Sequence[int], *, room_bytes: int, memory_bytes: int, timed_steps: int,
    clock: Callable[[], float] = time.perf_counter, tell: Callable[[str, int], None] = lambda *_: None,
) -> list[Trial]:  # fmt: skip
    """Try sizes from the smallest on until one does not fit, then time the largest that do. The state is left as it was.

    room_bytes: for the training, with what its checkpoints are written from, of which a trial on a processor has only the weights.
    memory_bytes: room for the smallest size, which has to do without a margin: nothing smaller is left. Where it needs that, nothing
    larger is tried. tell: called with what is about to be done, "trying" or "timing", and the size.
    """
    found: list[Trial] = []
    beside = 0
    with trial(state) as tried:
        for size in sorted(sizes):
            on_cpu, room = state.device.kind == "cpu", room_bytes if found else memory_bytes
            peak = _foreseen(found, size) if on_cpu else None
            if peak is None or peak + beside <= room:
                tell("trying", size)
                peak = _peak(tried, whole, size)
                beside = _more_in_training(replace(tried, average=state.average)) if on_cpu else 0
            fits = peak is not None and peak + beside <= room
            found.append(Trial(size, peak) if fits else Trial(size, None, beyond_bytes=None if peak is None else peak + beside))
            if peak is None or peak + beside > room_bytes:
                break
        largest = [one for one in found if one.peak_bytes is not None][-TIMED_SIZES:]
        for one in largest:
            tell("timing", one.size)
            found[found.index(one)] = replace(one, seconds=_seconds(tried, whole, one.size, timed_steps, clock))
    return found


def fastest(trials: Sequence[Trial]) -> Trial | None:
    """The fastest of those that were timed, the largest among equals; None where none fits."""
    timed = {one: one.seconds for one in trials if one.seconds is not None}
    if not timed:
        return None
    best = min(timed.values())
    return max((one for one, seconds in timed.items() if seconds <= best * (1 + LEVEL)), key=lambda one: one.size)


def _more_in_training(tried: TrainState) -> int:
    """Bytes of the snapshot that a checkpoint is written from, but for those of the weights: as many are kept to put them back."""
    saved = sum(tensor.nbytes for file in step_tensors(tried).values() for tensor in file.values())
    weights: int = sum(tensor.nbytes for tensor in tried.model.state_dict().values())
    return saved - weights


def _foreseen(found: Sequence[Trial], size: int) -> int | None:
    """Peak of a size on the line through those of the two before: a processor gives more memory than there is, and then kills."""
    if len(found) < 2:
        return None
    (low, high), (low_peak, high_peak) = [one.size for one in found[-2:]], [one.peak_bytes or 0 for one in found[-2:]]
    return int(high_peak + (high_peak - low_peak) * (size - high) / (high - low))


def _peak(tried: TrainState, whole: Batch, size: int) -> int | None:
    """Most memory that accumulating over two micro-batches takes, or over one that is the whole batch; None where it is not there."""
    tried.micro_batch_size = size
    tried.device.restart_peak()
    try:
        tried.device.read([train_step(tried, next(whole.split(2 * size))).loss])
    except (RuntimeError, MemoryError) as failure:
        if not is_out_of_memory(failure):
            raise
        tried.optimizer.zero_grad(set_to_none=True)
        return None
    return tried.device.peak_memory_bytes


def _seconds(tried: TrainState, whole: Batch, size: int, timed_steps: int, clock: Callable[[], float]) -> float:
    tried.micro_batch_size = size
    taken = []
    for _ in range(1 + timed_steps):  # the first one warms up
        started = clock()
        tried.device.read([train_step(tried, whole).loss])
        taken.append(clock() - started)
    return min(taken[1:])
