"""A duration in time: how much of it is used, and what that makes of everything that goes by a share of the duration.

The clock decides how many steps there are, so that a training of this kind does not repeat bit for bit. Time is that of all attempts, as
far as their work was kept, evaluations and saves included. The learning rate's course goes by the time of steps alone, against what is
left: a minute of compiling, or an evaluation, leaves fewer steps to come, and takes none of the warm-up. Of several processes, the first
one's clock counts in all of them: were each to go by its own, their weights would part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SOON = 1e-6
"""Share of the time that counts as used before a step was timed: the number of steps that it stands for is finite."""


@dataclass(slots=True)
class TimeLimit:
    """seconds: the duration; warmup_share: of the duration, where a warm-up is given as one. spent: seconds used so far; trained: of
    these, by steps, but for the first of each attempt, which is as long as what it sets up; reserve: what the evaluation and the save at
    the end are expected to take. over: the last step was made, however short those then were."""

    seconds: float
    warmup_share: float | None = None
    spent: float = 0.0
    trained: float = 0.0
    reserve: float = 0.0
    over: bool = False

    @property
    def share(self) -> float:
        """How much of the time for steps is used, up to 1."""
        return self.trained / (self.trained + self._left) if self._left > 0 else 1.0

    @property
    def reached(self) -> bool:
        """Whether no time is left but for what comes at the end."""
        return self.over or self.spent + self.reserve >= self.seconds

    @property
    def _left(self) -> float:
        return max(0.0, self.seconds - self.reserve - self.spent)

    def look(self, spent: float, *, trained: float) -> None:
        """Take in how much time is used after a step."""
        self.spent, self.trained = spent, trained
        self.over = self.reached

    def to_json(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"seconds": self.seconds, "spent": self.spent, "trained": self.trained, "reserve": self.reserve, "over": self.over}

    def restore(self, document: Mapping[str, Any]) -> None:
        """Take up what a checkpoint kept, of this duration or of a shorter one."""
        self.spent, self.trained, self.reserve = document["spent"], document["trained"], document["reserve"]
        self.over = document["over"] and document["seconds"] == self.seconds

    def total_steps(self, step: int) -> int:
        """The optimizer steps of a course that is as far on after `step` of them as the time is."""
        return max(step + 1, math.ceil(max(1, step) / max(self.share, _SOON)))

    def foreseen_steps(self, step: int) -> int:
        """How many optimizer steps there will be if they go on as the `step` done so far, evaluations to come left out. While none was
        timed, all of the time counts as theirs."""
        return step + math.ceil(step * self._left / max(self.trained or self.spent, _SOON))

    def warmup_steps(self, step: int, asked: int) -> int:
        """Optimizer steps of warm-up, as things stand after `step` of them. asked: as a number of steps, where it is no share."""
        if self.warmup_share is None:
            return asked
        return math.ceil(self.warmup_share * self.total_steps(step))
