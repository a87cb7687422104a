"""Owns which of a run's metrics say how good it is, where there is room for a few. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["headline"]

_SPLITS = ("test/", "validation/", "train/loss")
"""Beginnings of names: what a run was tested on says more than what it was chosen by, and that more than what it learnt from."""

_FIRST = ("loss", "perplexity", "bits_per_byte", "accuracy", "macro_f1", "bleu", "q_risk", "rmse", "mae", "r2")


def headline(metrics: Iterable[str], *, at_most: int) -> list[str]:
    """The names that say most, first those that every task has: of one split alone, so that they can be read together."""
    for split in _SPLITS:
        found = [name for name in metrics if name.startswith(split)]
        if found:
            return sorted(found, key=_rank)[:at_most]
    return []


def _rank(name: str) -> tuple[int, str]:
    end = name.rpartition("/")[2]
    return (_FIRST.index(end) if end in _FIRST else len(_FIRST), name)
