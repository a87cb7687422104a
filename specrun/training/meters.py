"""Training figures: kept on the device, read in one transfer a log interval, averaged on the host over two spans of steps.

The interval is what the curves show; the newest steps, however often is logged, are what a run's result is made of. Both are part
of a checkpoint, so that a resumed run comes to the figures of the uninterrupted one.
"""

from __future__ import annotations

import math
import operator
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from specrun.runtime.device import Device
from specrun.training.loop import StepStats
from specrun.training.recovery import Fault

Figures = tuple[float, float, int]
"""A step's loss, its gradient's norm, and the predictions that the loss is the mean of."""


@dataclass(slots=True)
class Meter:
    """Losses and gradient norms since the last record, and of the newest `newest` steps. first_step: optimizer step of the first
    since the last record, from 0."""

    newest: int = 1
    first_step: int = 0
    learning_rate: float = 0.0
    _read: list[Figures | None] = field(default_factory=list)
    _unread: list[StepStats] = field(default_factory=list)
    _newest: deque[Figures] = field(init=False)

    def __post_init__(self) -> None:
        self._newest = deque(maxlen=self.newest)

    def add(self, stats: StepStats) -> None:
        """Keep a step's figures, without waiting for the device."""
        self._unread.append(stats)
        self.learning_rate = stats.learning_rate

    def read(self, device: Device) -> list[Fault]:
        """Bring what is on the device to the host. Returns the steps among it whose loss or gradient is not finite.

        Such a step has no figures, nor has one whose scaled gradient alone overflowed, which is no fault: its norm is infinite.
        """
        stats, self._unread = self._unread, []
        numbers = device.read([scalar for it in stats for scalar in (it.loss, it.gradient_norm)])
        faults = []
        for it, loss, norm in zip(stats, numbers[::2], numbers[1::2], strict=True):
            finite = math.isfinite(loss) and math.isfinite(norm)
            self._read.append((loss, norm, it.tokens) if finite else None)
            if finite:
                self._newest.append((loss, norm, it.tokens))
            elif not (it.scaled and math.isfinite(loss) and norm == math.inf):
                faults.append(Fault(self.first_step + len(self._read), loss, norm))
        return faults

    def take(self) -> dict[str, float]:
        """Means over the steps of the interval that counted, which ends with this call; NaN where none did."""
        assert not self._unread
        figures = self._means([it for it in self._read if it is not None])
        skipped = self._read.count(None)
        self.first_step += len(self._read)
        self._read.clear()
        return figures | ({"recovery/skipped_steps": float(skipped)} if skipped else {})

    def result(self, steps: int | None = None) -> dict[str, float]:
        """Means over the newest steps that counted, or of so many of them: a run's own figures, whatever its log interval."""
        assert not self._unread
        return self._means(list(self._newest)[-(steps or len(self._newest)) :])

    def to_json(self) -> dict[str, Any]:
        """What was read of the unfinished interval and of the newest steps. null: a step that did not count."""
        assert not self._unread
        kept = {"figures": [it and list(it) for it in self._read], "newest": [list(it) for it in self._newest]}
        return {"first_step": self.first_step, "learning_rate": self.learning_rate, **kept}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, newest: int) -> Meter:
        """The meter of a checkpoint."""
        read = [it and _figures(it) for it in document["figures"]]
        meter = cls(newest, document["first_step"], document["learning_rate"], read)
        meter._newest.extend(_figures(it) for it in document["newest"])
        return meter

    def _means(self, figures: Collection[Figures]) -> dict[str, float]:
        """The loss is the mean over tokens, which is that over steps where each has as many."""
        losses, norms, tokens = zip(*figures, strict=True) if figures else ((), (), ())
        if len(set(tokens)) > 1:
            loss = math.fsum(map(operator.mul, losses, tokens)) / sum(tokens)
        else:
            loss = _mean(losses)
        return {"train/loss": loss, "train/learning_rate": self.learning_rate, "train/gradient_norm": _mean(norms)}


def _figures(kept: Sequence[float]) -> Figures:
    """What a checkpoint kept of a step."""
    loss, norm, tokens = kept
    return loss, norm, int(tokens)


def _mean(numbers: Collection[float]) -> float:
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent on optimizer steps, apart from evaluations and checkpoints.

    clock: in seconds. total: over all attempts; waited: of these, for batches. Of the interval that ended last: wait_share, the share
    waited for batches; step_tokens, predictions an optimizer step; padding_share, of what was computed, the share that no prediction was
    made of.
    """

    clock: Callable[[], float] = time.perf_counter
    total: float = 0.0
    waited: float = 0.0
    wait_share: float = 0.0
    step_tokens: float = 0.0
    padding_share: float = 0.0
    _interval: float = 0.0
    _interval_waited: float = 0.0
    _steps: int = 0
    _tokens: int = 0
    _positions: int = 0
    _since: float = field(init=False)
    _lapped: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def count_step(self, *, tokens: int = 0, positions: int = 0) -> None:
        """One more optimizer step in the interval, with its predictions and what was computed for them."""
        self._steps += 1
        self._tokens += tokens
        self._positions += positions

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What is done inside is waiting for a batch."""
        began = self.clock()
        try:
            yield
        finally:
            seconds = self.clock() - began
            self._interval_waited += seconds
            self.waited += seconds

    def pause(self) -> None:
        """Add the time since the last start; what follows is not counted until `start`."""
        now = self.clock()
        self._interval += now - self._since
        self.total += now - self._since
        self._since = now

    def leave_out(self, seconds: float) -> None:
        """Do not count so many of the seconds since the last start."""
        self._since += seconds

    def start(self) -> None:
        """Count from now on."""
        self._since = self.clock()

    @property
    def so_far(self) -> float:
        """The total up to now. Not to be asked for in a pause."""
        return self.total + self.clock() - self._since

    def lap(self) -> float:
        """Seconds counted since the last call; none at the first, before which things were set up. Not to be called in a pause."""
        now = self.so_far
        before, self._lapped = self._lapped, now
        return 0.0 if before is None else now - before

    def take(self) -> float:
        """Mean seconds a step in the interval, which ends with this call."""
        self.pause()
        seconds = self._interval / max(1, self._steps)
        self.wait_share = self._interval_waited / self._interval if self._interval else 0.0
        self.step_tokens = self._tokens / max(1, self._steps)
        self.padding_share = 1 - self._tokens / max(1, self._positions)
        self._interval, self._interval_waited, self._steps, self._tokens, self._positions = 0.0, 0.0, 0, 0, 0
        return seconds

    @property
    def total_wait_share(self) -> float:
        """The share of all seconds that was waited for batches."""
        return self.waited / self.total if self.total else 0.0
