"""A step that ran before, as far as predictions learn from it."""

from __future__ import annotations

from dataclasses import dataclass

_TELLING_STEPS = 50
_TELLING_SECONDS = 5.0
"""A training of fewer steps or less time is mostly its own beginning: it tells nothing of a longer one."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a step took. signature: see `predict.step_signature`. work: FLOPs of a training, with those of its evaluations; for other
    kinds the bytes of text of all splits, 0 where they are not known.

    steps, rate, step_work: of a training, its optimizer steps, the FLOPs a second of these alone, and the FLOPs of each; 0 where they
    are not known. compile_seconds: spent on compiling its model, no part of seconds.
    """

    kind: str
    signature: str
    device: str
    work: float
    seconds: float
    steps: int = 0
    rate: float = 0.0
    compile_seconds: float = 0.0
    step_work: float = 0.0

    @property
    def tells(self) -> bool:
        """Of a training: whether it was long enough for its rate to be that of any longer one."""
        return self.steps >= _TELLING_STEPS and self.seconds >= _TELLING_SECONDS
