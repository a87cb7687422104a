"""Training figures: kept on the device, read in one transfer a log interval, averaged on the host over two spans of steps.

The interval is what the curves show; the newest steps, however often is logged, are what a run's result is made of. Both are part
of a checkpoint, so that a resumed run comes to the figures of the uninterrupted one.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from specrun.errors import SpecrunError
from specrun.runtime.device import Device
from specrun.training.loop import StepStats

_RESULT_SHARE = 0.05
_RESULT_STEPS = 1000
"""A result is the mean of the last 5 % of the planned steps, of at most so many: each is kept in every checkpoint."""


def result_steps(total_steps: int) -> int:
    """How many of the newest steps a result is the mean of."""
    return min(_RESULT_STEPS, max(1, math.ceil(_RESULT_SHARE * total_steps)))


@dataclass(slots=True)
class Meter:
    """Losses and gradient norms since the last record, and of the newest `newest` steps. first_step: optimizer step of the first
    since the last record, from 0."""

    newest: int = 1
    first_step: int = 0
    learning_rate: float = 0.0
    _read: list[tuple[float, float]] = field(default_factory=list)
    _unread: list[Tensor] = field(default_factory=list)
    _newest: deque[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self._newest = deque(maxlen=self.newest)

    def add(self, stats: StepStats) -> None:
        """Keep a step's figures, without waiting for the device."""
        self._unread += (stats.loss, stats.gradient_norm)
        self.learning_rate = stats.learning_rate

    def read(self, device: Device) -> None:
        """Bring what is on the device to the host. Raises: SpecrunError at the first loss or gradient that is not finite."""
        numbers = device.read(self._unread)
        self._unread.clear()
        for loss, norm in zip(numbers[::2], numbers[1::2], strict=True):
            self._read.append((loss, norm))
            self._newest.append((loss, norm))
            _check_finite(loss, norm, self.first_step + len(self._read))

    def take(self, device: Device) -> dict[str, float]:
        """Means of the interval, which ends with this call."""
        self.read(device)
        figures = self._means(self._read)
        self.first_step += len(self._read)
        self._read.clear()
        return figures

    def result(self) -> dict[str, float]:
        """Means over the newest steps of what was read: a run's own figures, whatever its log interval."""
        assert not self._unread
        return self._means(self._newest)

    def to_json(self) -> dict[str, Any]:
        """What was read of the unfinished interval and of the newest steps."""
        assert not self._unread
        kept = {"figures": [list(pair) for pair in self._read], "newest": [list(pair) for pair in self._newest]}
        return {"first_step": self.first_step, "learning_rate": self.learning_rate, **kept}

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, newest: int) -> Meter:
        """The meter of a checkpoint."""
        meter = cls(newest, document["first_step"], document["learning_rate"], [(loss, norm) for loss, norm in document["figures"]])
        meter._newest.extend((loss, norm) for loss, norm in document["newest"])
        return meter

    def _means(self, figures: Iterable[tuple[float, float]]) -> dict[str, float]:
        """Every optimizer step has as many tokens as any other, so that a mean over steps is one over tokens."""
        losses, norms = zip(*figures, strict=True)
        return {
            "train/loss": math.fsum(losses) / len(losses),
            "train/learning_rate": self.learning_rate,
            "train/gradient_norm": math.fsum(norms) / len(norms),
        }


def _check_finite(loss: float, norm: float, step: int) -> None:
    if math.isfinite(loss) and math.isfinite(norm):
        return
    what, code = ("gradient's norm", "non-finite-gradient") if math.isfinite(loss) else ("loss", "non-finite-loss")
    raise SpecrunError(
        f"the {what} of step {step} is {norm if math.isfinite(loss) else loss}",
        code=code,
        hint="lower schedule.optimizer.learning_rate (a tenth is a good try), lengthen schedule.learning_rate.warmup, "
        "or set schedule.gradient_clip: 1.0",
    )


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent on optimizer steps, apart from evaluations and checkpoints. total: over all attempts."""

    total: float = 0.0
    _interval: float = 0.0
    _steps: int = 0
    _since: float = field(default_factory=time.perf_counter)

    def count_step(self) -> None:
        """One more optimizer step in the interval."""
        self._steps += 1

    def pause(self) -> None:
        """Add the time since the last start; what follows is not counted until `start`."""
        now = time.perf_counter()
        self._interval += now - self._since
        self.total += now - self._since
        self._since = now

    def start(self) -> None:
        """Count from now on."""
        self._since = time.perf_counter()

    def take(self) -> float:
        """Mean seconds a step in the interval, which ends with this call."""
        self.pause()
        seconds, self._interval = self._interval / max(1, self._steps), 0.0
        self._steps = 0
        return seconds
