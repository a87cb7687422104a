"""What: a seed that is listed twice.

Why: the same seed gives the same run; counted twice it would make results look more certain than they are.

Example: `seeds: [0, 1, 1]`. Remedy: distinct seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

from specrun.spec.document import Spec
from specrun.spec.section import Problem
from specrun.spec.shape import valid_items

CODE = "duplicate-seed"


def check(spec: Spec) -> Iterator[Problem]:
    """Find the repetitions."""
    for index, seed in valid_items(spec.seeds):
        if seed in spec.seeds[:index]:
            free = next(number for number in range(len(spec.seeds) + 1) if number not in spec.seeds)
            yield Problem(("seeds", index), CODE, f"seed {seed} is listed twice", f"use {free}, or remove it")
