"""How fast a training will go: as the same one went before, else as its work and other models' steps let expect, else by rule.

Pure. A step of any model is taken to last a fixed time, its overhead, and its work at a rate. Of tiny models the steps are nearly all
overhead, so that their work over their time says little of the rate.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from specrun.plan.past import Past

FLOPS_PER_CORE = 30e9
"""Rule for a processor without history: float32 operations a second a core that training reaches, not the peak."""
FLOPS_PER_GPU = 20e12
"""Rule for a CUDA device without history."""
OVERHEAD_SECONDS = 3e-3
"""Rule for what a step takes besides its work, Python and the start of each operation: on an idle core 0.9 ms of a GPT of one layer, 2.9 ms
of six, and several times as long where others want the cores."""
_SPREAD = 0.2
"""Models stray by so much of a step's time from what overhead and rate give."""
_SPREAD_OF_RULES = 2.0
"""So many times itself the overhead may be more than by rule, and the time for a FLOP."""
_LONGER = 4.0
"""Of the same training, one that is at most so many times as long is told by a short one too."""
_ASTRAY = 4.0
"""The rate that other models let expect is held to within so many times the rule's."""
_MODELS = 5
"""Of other models those count whose steps are nearest in work."""
_NEWEST = 5
"""Of one training so many runs count."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a training has to do. work: FLOPs, with those of its evaluations; step_work: of each of its optimizer steps."""

    work: float
    steps: int
    step_work: float


@dataclass(frozen=True, slots=True)
class Speed:
    """FLOPs a second to expect, all in all, and why."""

    rate: float
    basis: str


@dataclass(frozen=True, slots=True)
class _Pace:
    """overhead: seconds of a step besides its work; slowness: seconds of a FLOP."""

    overhead: float
    slowness: float

    def rate(self, load: Load) -> float:
        return load.work / (load.steps * self.overhead + load.work * self.slowness)


def expected_speed(
    history: Sequence[Past], load: Load, *, device: str, kind: str, cores: int, signature: str, devices: int
) -> Speed:  # fmt: skip
    """What to expect of a training. devices: CUDA devices that train together, or machines where processors do."""
    if kind == "cuda":
        peak, said = FLOPS_PER_GPU * devices, f"{FLOPS_PER_GPU / 1e12:.0f} TFLOP/s a device"
    else:
        peak, said = FLOPS_PER_CORE * cores * devices, f"{FLOPS_PER_CORE / 1e9:.0f} GFLOP/s a core"
    rule = _Pace(OVERHEAD_SECONDS, 1 / peak)
    training = [past for past in history if past.kind == "train" and past.device == device and past.seconds > 0 and past.work > 0]
    same = [past for past in training if past.signature == signature]
    if same := [past for past in same if past.tells or load.work <= _LONGER * past.work][-_NEWEST:]:
        return Speed(statistics.median(past.work / past.seconds for past in same), f"from {runs(same)}")
    if others := _nearest([past for past in training if past.tells and past.rate > 0 and past.step_work > 0], load.step_work):
        rate, ruled = _fitted([_typical(model) for model in others], rule).rate(load), rule.rate(load)
        held = min(max(rate, ruled / _ASTRAY), ruled * _ASTRAY)
        bound = f"{1 / _ASTRAY:g}" if held > rate else f"{_ASTRAY:g}"
        aside = "" if held == rate else f", held to {bound} times the rule"
        models = "another model" if len(others) == 1 else f"{len(others)} other models"
        return Speed(held, f"from {runs([past for model in others for past in model])} of {models} on this device{aside}")
    return Speed(rule.rate(load), f"by rule: {said} and {1000 * OVERHEAD_SECONDS:g} ms a step")


def runs(past: Sequence[Past]) -> str:
    """So many runs, in words."""
    return f"{len(past)} earlier run{'s' if len(past) > 1 else ''}"


def _nearest(training: Sequence[Past], step_work: float) -> list[list[Past]]:
    """The newest runs of each of the models whose steps are nearest in work."""
    models: dict[str, list[Past]] = {}
    for past in training:
        models.setdefault(past.signature, []).append(past)
    newest = [model[-_NEWEST:] for model in models.values()]
    return sorted(newest, key=lambda model: abs(math.log(model[-1].step_work / step_work)))[:_MODELS]


def _typical(model: Sequence[Past]) -> tuple[float, float]:
    """FLOPs and seconds of an optimizer step of a model, of its runs."""
    return statistics.median(past.step_work for past in model), statistics.median(past.step_work / past.rate for past in model)


def _fitted(models: Sequence[tuple[float, float]], rule: _Pace) -> _Pace:
    """The pace that other models show. models: FLOPs and seconds of a step of each.

    Overhead and seconds a FLOP, each in units of its rule, are those of the least squares of relative residuals, drawn to 1 as by a
    normal prior (Bishop, Pattern Recognition and Machine Learning, 3.3.1). So models of one size, which cannot tell the two apart, move
    each as far as it bears on their time: the overhead where steps are short, the rate where they are long.
    """
    drawn = (_SPREAD / _SPREAD_OF_RULES) ** 2
    rows = [(rule.overhead / seconds, work * rule.slowness / seconds) for work, seconds in models]
    aa, ab, bb = (math.fsum(x * y for x, y in pairs) for pairs in (((a, a) for a, _ in rows), rows, ((b, b) for _, b in rows)))
    a, b = (math.fsum(column) for column in zip(*rows, strict=True))
    slowness = ((b + drawn) * (aa + drawn) - ab * (a + drawn)) / ((aa + drawn) * (bb + drawn) - ab * ab)
    if (a + drawn) * (bb + drawn) < ab * (b + drawn):  # the overhead would be less than none
        slowness = (b + drawn) / (bb + drawn)
    slowness = min(max(slowness, 1 / _ASTRAY), _ASTRAY)
    overhead = max(0.0, (a + drawn - ab * slowness) / (aa + drawn))
    return _Pace(overhead * rule.overhead, slowness * rule.slowness)
