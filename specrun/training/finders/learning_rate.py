"""The learning-rate range test (Smith, "Cyclical Learning Rates for Training Neural Networks", 2015): one short training at a rate that
grows exponentially, and the rate that its losses suggest."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from specrun.runtime.protocols import Batch
from specrun.training.finders.trial import trial
from specrun.training.loop import TrainState, train_step

DIVERGED = 4.0
"""The test ends once the smoothed loss is so many times its lowest."""
SMOOTHING = 0.9
"""Decay of the average. 0.98, which is customary, looks back over half of a hundred steps: four decades of rates."""
_QUIET_SHARE = 10
"""The first tenth of the rates is taken to be too low to learn anything: what varies there is the data."""
_TELLING = 3.0
"""A fall of so many standard deviations of the quiet losses is one."""


@dataclass(frozen=True, slots=True)
class Range:
    """Rates from low to high, growing by the same factor a step."""

    low: float
    high: float
    steps: int

    def rate(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        return float(self.low * (self.high / self.low) ** (step / max(1, self.steps - 1)))


@dataclass(frozen=True, slots=True)
class Curve:
    """What was measured: the loss before the update of each rate, and its smoothed course. diverged: whether that ended the test."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged: bool


def range_test(
    state: TrainState, span: Range, *, next_batch: Callable[[int], Batch], on_step: Callable[[int, float, float], None] = lambda *_: None
) -> Curve:
    """Train from the state's place with a growing rate, and put everything back. Weights with a rate of their own keep it, as they
    will whatever is found. next_batch: of a position in batches.

    on_step: told the steps done, the rate and the smoothed loss.
    """
    losses: list[float] = []
    diverged = False
    with trial(state) as tried:
        tried.learning_rate, tried.rate_factor, tried.plateau, tried.step = span.rate, 1.0, None, 0
        groups = tried.optimizer.param_groups
        apart = [(group, group["lr_scale"] * tried.optimizer.defaults["lr"]) for group in groups if "lr_scale" in group]
        while len(losses) < span.steps and not diverged:
            for group, rate in apart:
                group["lr_scale"] = rate / span.rate(len(losses))
            (loss,) = state.device.read([train_step(tried, next_batch(tried.position)).loss])
            if not math.isfinite(loss):
                diverged = True
                break
            losses.append(loss)
            smoothed = smooth(losses)
            diverged = smoothed[-1] > DIVERGED * min(smoothed)
            on_step(len(losses), span.rate(len(losses) - 1), smoothed[-1])
    rates = tuple(span.rate(step) for step in range(len(losses)))
    return Curve(rates, tuple(losses), tuple(smooth(losses)), diverged)


def smooth(losses: Sequence[float], decay: float = SMOOTHING) -> list[float]:
    """Exponential moving average without the bias of its start (Kingma & Ba 2015, section 3)."""
    average, found = 0.0, []
    for number, loss in enumerate(losses, start=1):
        average = decay * average + (1 - decay) * loss
        found.append(average / (1 - decay**number))
    return found


@dataclass(frozen=True, slots=True)
class Suggestion:
    """rate: where the smoothed loss falls steepest, in three digits. lowest: the rate at which it was lowest; a tenth of that is the
    other rule in use, which moves with the smoothing where a flat valley follows the fall (docs/benchmarks.md)."""

    rate: float
    lowest: float

    @property
    def tenth_of_lowest(self) -> float:
        return _rounded(self.lowest / 10)


def suggest(curve: Curve) -> Suggestion | None:
    """The rate that a curve suggests: of steepest descent over the logarithm of the rate, before the lowest point.

    None where the loss did not fall by more than it varies anyway, at rates too low to learn.
    """
    bottom = min(range(len(curve.smoothed)), key=curve.smoothed.__getitem__, default=0)
    if bottom < 2:
        return None
    quiet = curve.losses[: max(2, len(curve.losses) // _QUIET_SHARE)]
    if curve.smoothed[0] - curve.smoothed[bottom] <= _TELLING * statistics.pstdev(quiet):
        return None
    steepest = min(range(1, bottom), key=lambda i: curve.smoothed[i + 1] - curve.smoothed[i - 1])
    return Suggestion(_rounded(curve.rates[steepest]), _rounded(curve.rates[bottom]))


def _rounded(rate: float) -> float:
    return float(f"{rate:.3g}")
