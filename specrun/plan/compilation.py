"""Whether compiling a model pays: what it saves over the planned steps against what it takes. Pure: figures come in as values.

The rule is of figures that were measured (docs/benchmarks.md); where the same training has run both ways on this device before, its own
stand in their place.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from specrun.plan import figures
from specrun.plan.past import Past

_NEWEST = 5


@dataclass(frozen=True, slots=True)
class Gain:
    """What compiling does. seconds: it takes, once a training; saved_share: of an eager step's time, saved at each."""

    seconds: float
    saved_share: float


RULE: Mapping[str, Gain] = {"cpu": Gain(20.0, 0.05), "cuda": Gain(60.0, 0.25)}
"""By kind of device. cpu: two small GPTs, compiled cold in 15 to 19 s of processor time, whose steps became 2 % and 7 to 11 % shorter
(docs/benchmarks.md). cuda: not measured here; nanoGPT's README tells of 250 ms a step that became 135 on an A100, 0.46 saved, of which
about half is taken for models that gain less."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to compile, and why."""

    compiled: bool
    reason: str


def worth_compiling(*, steps: int, step_seconds: float, gain: Gain, basis: str) -> Verdict:
    """Weigh it. steps: optimizer steps planned; step_seconds: of an eager one; basis: where the gain is known from."""
    if gain.saved_share <= 0:
        return Verdict(compiled=False, reason=f"compiled steps are no shorter, {basis}")
    saved = steps * step_seconds * gain.saved_share
    pays = saved > gain.seconds
    repay = "would not repay" if not pays else "repays" if steps == 1 else "repay"
    what = f"{figures.plural(steps, 'step')} {repay} compiling"
    return Verdict(pays, f"{what}: {figures.seconds(saved)} saved, {figures.seconds(gain.seconds)} spent, {basis}")


def compiled_signature(signature: str, mode: str) -> str:
    """The signature of the same training with its model compiled."""
    return f"{signature}|{mode}"


def known_gain(history: Sequence[Past], *, device: str, kind: str, signature: str, mode: str) -> tuple[Gain, str]:
    """What compiling this training gives: as it did before on this device, else by rule. signature: of the eager one.

    Runs of a few steps tell nothing: the first of a compiled training takes longer by more than the compilers do.
    """
    eager = [past for past in _trainings(history, device, signature) if past.tells]
    compiled = [past for past in _trainings(history, device, compiled_signature(signature, mode)) if past.tells]
    if not eager or not compiled:
        return RULE[kind], "by rule"
    saved_share = 1 - statistics.median(past.rate for past in eager) / statistics.median(past.rate for past in compiled)
    return Gain(compile_seconds(history, device=device, kind=kind, signature=signature, mode=mode), saved_share), "from earlier runs"


def compile_seconds(history: Sequence[Past], *, device: str, kind: str, signature: str, mode: str) -> float:
    """What compiling this training takes: the longest of the newest runs, which not all found it in the cache, else by rule."""
    compiled = _trainings(history, device, compiled_signature(signature, mode))
    return max((past.compile_seconds for past in compiled), default=RULE[kind].seconds)


def _trainings(history: Sequence[Past], device: str, signature: str) -> list[Past]:
    return [p for p in history if p.kind == "train" and p.device == device and p.signature == signature and p.rate > 0][-_NEWEST:]
