"""Owns which figure of a run a ranking goes by, as SQL over `run_summary AS s` and `runs AS r`.

A run that ended well has one figure of each metric: what its end reported, of the best weights and the whole split. Until then
there are only training's evaluations, which may have seen a part of the split each: the best of them stands in, and is named so.
"""

from __future__ import annotations

from typing import Literal

from specrun.records.seeds import ENDED_WELL

__all__ = ["in_training", "value"]

_ENDED = f"r.status IN ({', '.join(repr(status) for status in ENDED_WELL)})"
_EXTREME = {"minimize": "s.minimum", "maximize": "s.maximum"}


def value(goal: Literal["minimize", "maximize"]) -> str:
    """The figure that a run is ranked by; NULL or not finite where it has none."""
    extreme = _EXTREME[goal]
    return f"CASE WHEN {_ENDED} THEN coalesce(s.final, {extreme}) ELSE coalesce({extreme}, s.final) END"


def in_training(goal: Literal["minimize", "maximize"]) -> str:
    """Whether that figure is the best of those recorded in training."""
    return f"({_EXTREME[goal]} IS NOT NULL AND (s.final IS NULL OR NOT {_ENDED}))"
