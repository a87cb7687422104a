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
_OVERHEAD_SECONDS = 5e-3
"""Rule for what a step takes besides its work, Python and the start of each operation: 3 to 9 ms of GPTs of one and two layers, two cores
of a processor."""
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
class Speed:
    """FLOPs a second to expect, and why."""

    rate: float
    basis: str


def expected_speed(
    history: Sequence[Past], *, work: float, step_work: float, device: str, kind: str, cores: int, signature: str, devices: int
) -> Speed:
    """What to expect of a training. work, step_work: its FLOPs, and those of an optimizer step; devices: CUDA devices that train
    together, or machines where processors do."""
    if kind == "cuda":
        rule, said = FLOPS_PER_GPU * devices, f"by rule: {FLOPS_PER_GPU / 1e12:.0f} TFLOP/s a device"
    else:
        rule, said = FLOPS_PER_CORE * cores * devices, f"by rule: {FLOPS_PER_CORE / 1e9:.0f} GFLOP/s a core"
    training = [past for past in history if past.kind == "train" and past.device == device and past.seconds > 0 and past.work > 0]
    same = [past for past in training if past.signature == signature]
    if same := [past for past in same if past.tells or work <= _LONGER * past.work][-_NEWEST:]:
        return Speed(statistics.median(past.work / past.seconds for past in same), f"from {runs(same)}")
    if others := _nearest([past for past in training if past.tells and past.rate > 0 and past.step_work > 0], step_work):
        rate = step_work / _step_seconds(step_work, [_typical(model) for model in others], rule=rule)
        held = min(max(rate, rule / _ASTRAY), rule * _ASTRAY)
        bound = f"{1 / _ASTRAY:g}" if held > rate else f"{_ASTRAY:g}"
        aside = "" if held == rate else f", held to {bound} times the rule"
        models = "another model" if len(others) == 1 else f"{len(others)} other models"
        return Speed(held, f"from {runs([past for model in others for past in model])} of {models} on this device{aside}")
    return Speed(rule, said)


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


def _step_seconds(step_work: float, models: Sequence[tuple[float, float]], *, rule: float) -> float:
    """Seconds of an optimizer step of so many FLOPs. models: FLOPs and seconds of such steps; rule: FLOPs a second.

    Overhead and seconds a FLOP, each in units of its rule, are those of the least squares of relative residuals, drawn to 1 as by a
    normal prior (Bishop, Pattern Recognition and Machine Learning, 3.3.1). So models of one size, which cannot tell the two apart, move
    each as far as it bears on their time: the overhead where steps are short, the rate where they are long.
    """
    drawn = (_SPREAD / _SPREAD_OF_RULES) ** 2
    rows = [(_OVERHEAD_SECONDS / seconds, work / rule / seconds) for work, seconds in models]
    aa, ab, bb = (math.fsum(x * y for x, y in pairs) for pairs in (((a, a) for a, _ in rows), rows, ((b, b) for _, b in rows)))
    a, b = (math.fsum(column) for column in zip(*rows, strict=True))
    slowness = ((b + drawn) * (aa + drawn) - ab * (a + drawn)) / ((aa + drawn) * (bb + drawn) - ab * ab)
    if (a + drawn) * (bb + drawn) < ab * (b + drawn):  # the overhead would be less than none
        slowness = (b + drawn) / (bb + drawn)
    slowness = min(max(slowness, 1 / _ASTRAY), _ASTRAY)
    overhead = max(0.0, (a + drawn - ab * slowness) / (aa + drawn))
    return overhead * _OVERHEAD_SECONDS + slowness * step_work / rule
